package routes

import (
	"net/http"

	"dueto/handlers"
	"dueto/services"
)

// Access says who gets past the door of a route. What lies behind it may still
// be refused, by the rules of the services.
type Access int

// The doors. The zero value is the closed one, so that a route that forgets to
// say is not open.
const (
	// SignedIn needs an account.
	SignedIn Access = iota
	// Reader is open to all where reads are public, else as SignedIn.
	Reader
	// Anyone is open to all; a bad credential is refused nevertheless.
	Anyone
	// Credentials is for routes that take theirs in the body or the path, and
	// for probes: an Authorization header is not looked at.
	Credentials
)

// String gives the name of the door, for listings.
func (a Access) String() string {
	return [...]string{"signed in", "reader", "anyone", "anyone (header ignored)"}[a]
}

// Route is one line of the table that the router, the resource list and
// "make routes" are made from.
type Route struct {
	Method  string
	Path    string
	Handler handlers.Func
	Access  Access
	// Permission is a word that the caller must hold.
	Permission string
	// Scope is the word that an API token must be made for; without one, routes
	// that know who is asking are closed to API tokens.
	Scope string
	// Rate names the limit on how often a client may ask, besides the overall one.
	Rate services.RateClass
	// Query names the parameters that the route takes.
	Query []string
	// Name lists the path in the resource list under this name.
	Name    string
	Summary string
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// table is the whole HTTP surface. HEAD comes with GET and OPTIONS with
// everything; each path is there with and without a trailing slash.
func (a *app) table() []Route {
	return []Route{
		{Method: get, Path: "/", Access: Anyone, Handler: a.root, Scope: services.AnyScope, Summary: "List the resources"},
		{Method: get, Path: "/healthz", Access: Credentials, Rate: services.RateExempt, Handler: a.health.Alive, Name: "healthz", Summary: "Tell that the process answers"},
		{Method: get, Path: "/readyz", Access: Credentials, Rate: services.RateExempt, Handler: a.health.Ready, Name: "readyz", Summary: "Tell whether the store can be read and written"},
		{Method: get, Path: "/.well-known/jwks.json", Access: Credentials, Rate: services.RateExempt, Handler: a.jwks, Name: "jwks", Summary: "Get the public keys that check access tokens"},

		{Method: post, Path: "/auth/register", Access: Credentials, Rate: services.RateRegister, Handler: a.auth.Register, Name: "register", Summary: "Make an account"},
		{Method: get, Path: "/auth/activate/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ActivateByLink, Query: handlers.AnyQuery, Summary: "Confirm an account by following its link"},
		{Method: post, Path: "/auth/activate/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.Activate, Query: handlers.AnyQuery, Summary: "Confirm an account"},
		{Method: post, Path: "/auth/activate/resend", Access: Credentials, Rate: services.RateMail, Handler: a.auth.Resend, Name: "resend", Summary: "Ask for a new confirmation"},
		{Method: get, Path: "/auth/email/confirm/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.CheckEmail, Query: handlers.AnyQuery, Summary: "See whether a new address can be confirmed"},
		{Method: post, Path: "/auth/email/confirm/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ConfirmEmail, Query: handlers.AnyQuery, Summary: "Confirm a new address"},

		{Method: post, Path: "/auth/login", Access: Credentials, Rate: services.RateLogin, Handler: a.auth.Login, Name: "login", Summary: "Get a pair of tokens"},
		{Method: post, Path: "/auth/refresh", Access: Credentials, Rate: services.RateRefresh, Handler: a.auth.Refresh, Name: "refresh", Summary: "Spend a refresh token for a new pair"},
		{Method: post, Path: "/auth/verify", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.Verify, Name: "verify", Summary: "Read a token that is good"},
		{Method: post, Path: "/auth/logout", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.Logout, Name: "logout", Summary: "End a session"},

		{Method: post, Path: "/auth/password/change", Rate: services.RateLogin, Handler: a.auth.ChangePassword, Name: "password_change", Summary: "Change one's password and end the other sessions"},
		{Method: post, Path: "/auth/password/reset", Access: Credentials, Rate: services.RateMail, Handler: a.auth.RequestReset, Name: "password_reset", Summary: "Ask for a link that sets a new password"},
		{Method: post, Path: "/auth/password/reset/confirm", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ConfirmReset, Name: "password_reset_confirm", Summary: "Set a new password with a link's token"},
		{Method: get, Path: "/auth/password/reset/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ResetPage, Query: handlers.AnyQuery, Summary: "Follow the link to the form for a new password"},
		{Method: post, Path: "/auth/password/reset/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ResetByForm, Query: handlers.AnyQuery, Summary: "Set a new password by the form"},

		{Method: get, Path: "/auth/sessions", Handler: a.auth.ListSessions, Name: "sessions", Summary: "List one's sessions"},
		{Method: remove, Path: "/auth/sessions", Handler: a.auth.EndSessions, Query: handlers.EndSessionsQuery, Summary: "End one's other sessions"},
		{Method: get, Path: "/auth/sessions/:id", Handler: a.auth.GetSession, Summary: "Read a session"},
		{Method: remove, Path: "/auth/sessions/:id", Handler: a.auth.EndSession, Summary: "End a session of one's own"},
		{Method: get, Path: "/auth/tokens", Handler: a.apiTokens.List, Name: "api_tokens", Summary: "List one's API tokens"},
		{Method: post, Path: "/auth/tokens", Handler: a.apiTokens.Create, Summary: "Make an API token"},
		{Method: get, Path: "/auth/tokens/:id", Handler: a.apiTokens.Get, Summary: "Read about an API token"},
		{Method: remove, Path: "/auth/tokens/:id", Handler: a.apiTokens.Revoke, Summary: "Revoke an API token"},

		{Method: get, Path: "/users", Access: Reader, Handler: a.users.List, Query: handlers.UserListQuery, Scope: services.PermViewUsers, Name: "users", Summary: "List accounts"},
		{Method: post, Path: "/users", Permission: services.PermAddUsers, Handler: a.users.Create, Scope: services.PermAddUsers, Summary: "Make an account for somebody"},
		{Method: get, Path: "/users/me", Handler: a.users.Get, Scope: services.PermViewUsers, Name: "me", Summary: "Read one's own account"},
		{Method: patch, Path: "/users/me", Handler: a.users.Patch, Scope: services.PermChangeUsers, Summary: "Change one's own account"},
		{Method: remove, Path: "/users/me", Rate: services.RateLogin, Handler: a.users.Delete, Query: handlers.DeleteUserQuery, Scope: services.PermDeleteUsers, Summary: "Delete one's own account"},
		{Method: get, Path: "/users/me/events", Handler: a.users.ListEvents, Query: handlers.EventListQuery, Scope: services.PermViewUsers, Summary: "List what happened to one's own account"},
		{Method: get, Path: "/users/:id", Access: Reader, Handler: a.users.Get, Scope: services.PermViewUsers, Summary: "Read an account"},
		{Method: patch, Path: "/users/:id", Handler: a.users.Patch, Scope: services.PermChangeUsers, Summary: "Change an account"},
		{Method: remove, Path: "/users/:id", Handler: a.users.Delete, Query: handlers.DeleteUserQuery, Scope: services.PermDeleteUsers, Summary: "Delete an account"},
		{Method: get, Path: "/users/:id/events", Handler: a.users.ListEvents, Query: handlers.EventListQuery, Scope: services.PermViewUsers, Summary: "List what happened to an account"},
		{Method: post, Path: "/users/:id/password/reset", Handler: a.users.ForceReset, Scope: services.PermChangeUsers, Summary: "Take a password away and have a new one set"},

		{Method: get, Path: "/tasks", Access: Reader, Handler: a.tasks.List, Query: handlers.TaskListQuery, Scope: services.PermViewTasks, Name: "tasks", Summary: "List tasks"},
		{Method: post, Path: "/tasks", Handler: a.tasks.Create, Scope: services.PermAddTasks, Summary: "Make a task"},
		{Method: get, Path: "/tasks/:id", Access: Reader, Handler: a.tasks.Get, Scope: services.PermViewTasks, Summary: "Read a task"},
		{Method: put, Path: "/tasks/:id", Handler: a.tasks.Replace, Scope: services.PermChangeTasks, Summary: "Replace a task"},
		{Method: patch, Path: "/tasks/:id", Handler: a.tasks.Patch, Scope: services.PermChangeTasks, Summary: "Change a task"},
		{Method: remove, Path: "/tasks/:id", Handler: a.tasks.Delete, Scope: services.PermDeleteTasks, Summary: "Delete a task"},
	}
}
