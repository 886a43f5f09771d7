package routes

import (
	"net/http"

	"dueto/handlers"
	"dueto/openapi"
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

// Route is one line of the table that the router, the resource list, the
// API's description and "make routes" are made from.
type Route struct {
	// ID names the route for programs.
	ID      string
	Method  string
	Path    string
	Handler handlers.Func
	// Does says what the handler takes and gives.
	Does   handlers.Operation
	Access Access
	// Permission is a word that the caller must hold.
	Permission string
	// Scope is the word that an API token must be made for; without one, routes
	// that know who is asking are closed to API tokens.
	Scope string
	// Rate names the limit on how often a client may ask, besides the overall one.
	Rate services.RateClass
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
// everything; each path is there with and without a trailing slash. What
// settings change of an operation is in it from here on, so that the document,
// OPTIONS and pages tell the same.
func (a *app) table() []Route {
	modes, paging := handlers.Modes(a.config.AuthModes), pagingOf(a.config)
	table := []Route{
		{ID: "root_read", Method: get, Path: "/", Access: Anyone, Handler: a.root, Scope: services.AnyScope, Summary: "List the resources"},
		{ID: "health_alive", Method: get, Path: "/healthz", Access: Credentials, Rate: services.RateExempt, Handler: a.health.Alive, Does: handlers.HealthAlive, Name: "healthz", Summary: "Tell that the process answers"},
		{ID: "health_ready", Method: get, Path: "/readyz", Access: Credentials, Rate: services.RateExempt, Handler: a.health.Ready, Does: handlers.HealthReady, Name: "readyz", Summary: "Tell whether the store can be read and written"},
		{ID: "jwks_read", Method: get, Path: "/.well-known/jwks.json", Access: Credentials, Rate: services.RateExempt, Handler: a.jwks, Does: handlers.JWKSRead, Name: "jwks", Summary: "Get the public keys that check access tokens"},
		{ID: "openapi_read", Method: get, Path: "/openapi.json", Access: Anyone, Handler: a.document, Scope: services.AnyScope, Does: handlers.DocumentRead, Name: "openapi", Summary: "Get the description of the API, for tools"},
		{ID: "asset_read", Method: get, Path: "/static/:name", Access: Credentials, Rate: services.RateExempt, Handler: a.asset, Does: handlers.AssetRead, Summary: "Get a file of a page"},
		{ID: "docs_read", Method: get, Path: "/docs", Access: Credentials, Rate: services.RateExempt, Handler: a.docs, Does: handlers.DocsRead, Name: "docs", Summary: "Read and try the API on a page"},

		{ID: "auth_register", Method: post, Path: "/auth/register", Access: Credentials, Rate: services.RateRegister, Handler: a.auth.Register, Does: handlers.AuthRegister, Name: "register", Summary: "Make an account"},
		{ID: "auth_activate_link", Method: get, Path: "/auth/activate/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ActivateByLink, Does: handlers.AuthActivateLink, Summary: "Confirm an account by following its link"},
		{ID: "auth_activate", Method: post, Path: "/auth/activate/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.Activate, Does: handlers.AuthActivate, Summary: "Confirm an account"},
		{ID: "auth_activate_resend", Method: post, Path: "/auth/activate/resend", Access: Credentials, Rate: services.RateMail, Handler: a.auth.Resend, Does: handlers.AuthActivateResend, Name: "resend", Summary: "Ask for a new confirmation"},
		{ID: "auth_email_check", Method: get, Path: "/auth/email/confirm/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.CheckEmail, Does: handlers.AuthEmailCheck, Summary: "See whether a new address can be confirmed"},
		{ID: "auth_email_confirm", Method: post, Path: "/auth/email/confirm/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ConfirmEmail, Does: handlers.AuthEmailConfirm, Summary: "Confirm a new address"},

		{ID: "auth_login", Method: post, Path: "/auth/login", Access: Credentials, Rate: services.RateLogin, Handler: a.auth.Login, Does: handlers.AuthLogin(modes), Name: "login", Summary: "Get a pair of tokens"},
		{ID: "auth_refresh", Method: post, Path: "/auth/refresh", Access: Credentials, Rate: services.RateRefresh, Handler: a.auth.Refresh, Does: handlers.AuthRefresh(modes), Name: "refresh", Summary: "Spend a refresh token for a new pair"},
		{ID: "auth_verify", Method: post, Path: "/auth/verify", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.Verify, Does: handlers.AuthVerify(modes), Name: "verify", Summary: "Read a token that is good"},
		{ID: "auth_logout", Method: post, Path: "/auth/logout", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.Logout, Does: handlers.AuthLogout(modes), Name: "logout", Summary: "End a session"},

		{ID: "auth_password_change", Method: post, Path: "/auth/password/change", Rate: services.RateLogin, Handler: a.auth.ChangePassword, Does: handlers.AuthPasswordChange, Name: "password_change", Summary: "Change one's password and end the other sessions"},
		{ID: "auth_password_reset", Method: post, Path: "/auth/password/reset", Access: Credentials, Rate: services.RateMail, Handler: a.auth.RequestReset, Does: handlers.AuthPasswordReset, Name: "password_reset", Summary: "Ask for a link that sets a new password"},
		{ID: "auth_password_reset_confirm", Method: post, Path: "/auth/password/reset/confirm", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ConfirmReset, Does: handlers.AuthPasswordResetConfirm, Name: "password_reset_confirm", Summary: "Set a new password with a link's token"},
		{ID: "auth_password_reset_page", Method: get, Path: "/auth/password/reset/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ResetPage, Does: handlers.AuthPasswordResetPage, Summary: "Follow the link to the form for a new password"},
		{ID: "auth_password_reset_form", Method: post, Path: "/auth/password/reset/:token", Access: Credentials, Rate: services.RateLinks, Handler: a.auth.ResetByForm, Does: handlers.AuthPasswordResetForm, Summary: "Set a new password by the form"},

		{ID: "sessions_list", Method: get, Path: "/auth/sessions", Handler: a.auth.ListSessions, Does: handlers.SessionsList(modes), Name: "sessions", Summary: "List one's sessions"},
		{ID: "sessions_end_others", Method: remove, Path: "/auth/sessions", Handler: a.auth.EndSessions, Does: handlers.SessionsEndOthers(modes), Summary: "End one's other sessions"},
		{ID: "sessions_read", Method: get, Path: "/auth/sessions/:id", Handler: a.auth.GetSession, Does: handlers.SessionsRead(modes), Summary: "Read a session"},
		{ID: "sessions_end", Method: remove, Path: "/auth/sessions/:id", Handler: a.auth.EndSession, Does: handlers.SessionsEnd(modes), Summary: "End a session of one's own"},
		{ID: "tokens_list", Method: get, Path: "/auth/tokens", Handler: a.apiTokens.List, Does: handlers.TokensList, Name: "api_tokens", Summary: "List one's API tokens"},
		{ID: "tokens_create", Method: post, Path: "/auth/tokens", Handler: a.apiTokens.Create, Does: handlers.TokensCreate, Summary: "Make an API token"},
		{ID: "tokens_read", Method: get, Path: "/auth/tokens/:id", Handler: a.apiTokens.Get, Does: handlers.TokensRead, Summary: "Read about an API token"},
		{ID: "tokens_revoke", Method: remove, Path: "/auth/tokens/:id", Handler: a.apiTokens.Revoke, Does: handlers.TokensRevoke, Summary: "Revoke an API token"},

		{ID: "users_list", Method: get, Path: "/users", Access: Reader, Handler: a.users.List, Does: handlers.UsersList(paging), Scope: services.PermViewUsers, Name: "users", Summary: "List accounts"},
		{ID: "users_create", Method: post, Path: "/users", Permission: services.PermAddUsers, Handler: a.users.Create, Does: handlers.UsersCreate, Scope: services.PermAddUsers, Summary: "Make an account for somebody"},
		{ID: "me_read", Method: get, Path: "/users/me", Handler: a.users.Get, Does: handlers.MeRead, Scope: services.PermViewUsers, Name: "me", Summary: "Read one's own account"},
		{ID: "me_update", Method: patch, Path: "/users/me", Handler: a.users.Patch, Does: handlers.UsersUpdate, Scope: services.PermChangeUsers, Summary: "Change one's own account"},
		{ID: "me_delete", Method: remove, Path: "/users/me", Rate: services.RateLogin, Handler: a.users.Delete, Does: handlers.MeDelete(modes), Scope: services.PermDeleteUsers, Summary: "Delete one's own account"},
		{ID: "me_events_list", Method: get, Path: "/users/me/events", Handler: a.users.ListEvents, Does: handlers.UsersEventsList(paging), Scope: services.PermViewUsers, Summary: "List what happened to one's own account"},
		{ID: "users_read", Method: get, Path: "/users/:id", Access: Reader, Handler: a.users.Get, Does: handlers.UsersRead, Scope: services.PermViewUsers, Summary: "Read an account"},
		{ID: "users_update", Method: patch, Path: "/users/:id", Handler: a.users.Patch, Does: handlers.UsersUpdate, Scope: services.PermChangeUsers, Summary: "Change an account"},
		{ID: "users_delete", Method: remove, Path: "/users/:id", Handler: a.users.Delete, Does: handlers.UsersDelete(modes), Scope: services.PermDeleteUsers, Summary: "Delete an account"},
		{ID: "users_events_list", Method: get, Path: "/users/:id/events", Handler: a.users.ListEvents, Does: handlers.UsersEventsList(paging), Scope: services.PermViewUsers, Summary: "List what happened to an account"},
		{ID: "users_password_reset", Method: post, Path: "/users/:id/password/reset", Handler: a.users.ForceReset, Does: handlers.UsersPasswordReset, Scope: services.PermChangeUsers, Summary: "Take a password away and have a new one set"},

		{ID: "tasks_list", Method: get, Path: "/tasks", Access: Reader, Handler: a.tasks.List, Does: handlers.TasksList(paging), Scope: services.PermViewTasks, Name: "tasks", Summary: "List tasks"},
		{ID: "tasks_create", Method: post, Path: "/tasks", Handler: a.tasks.Create, Does: handlers.TasksCreate, Scope: services.PermAddTasks, Summary: "Make a task"},
		{ID: "tasks_read", Method: get, Path: "/tasks/:id", Access: Reader, Handler: a.tasks.Get, Does: handlers.TasksRead, Scope: services.PermViewTasks, Summary: "Read a task"},
		{ID: "tasks_replace", Method: put, Path: "/tasks/:id", Handler: a.tasks.Replace, Does: handlers.TasksReplace, Scope: services.PermChangeTasks, Summary: "Replace a task"},
		{ID: "tasks_update", Method: patch, Path: "/tasks/:id", Handler: a.tasks.Patch, Does: handlers.TasksUpdate, Scope: services.PermChangeTasks, Summary: "Change a task"},
		{ID: "tasks_delete", Method: remove, Path: "/tasks/:id", Handler: a.tasks.Delete, Does: handlers.TasksDelete, Scope: services.PermDeleteTasks, Summary: "Delete a task"},
	}
	for i := range table {
		if table[i].Path == "/" {
			table[i].Does = handlers.RootRead(names(table))
		}
	}
	return table
}

// names lists the names of the resource list.
func names(table []Route) (list []string) {
	for _, route := range table {
		if route.Name != "" {
			list = append(list, route.Name)
		}
	}
	return list
}

// bodies gives what the methods of a path take, by method. Members that are
// read only are among it, for they may be sent back.
func bodies(table []Route, path string) map[string]*openapi.Schema {
	found := map[string]*openapi.Schema{}
	for _, route := range table {
		if route.Path == path && route.Does.Body != nil {
			found[route.Method] = route.Does.Body
		}
	}
	return found
}
