package handlers

import (
	"slices"

	"dueto/openapi"
	"dueto/services"
)

// Modes are the ways in which a server lets tokens be carried.
type Modes []string

// cookies gives the modes that have tokens in cookies.
func (m Modes) cookies() []string {
	return slices.DeleteFunc(slices.Clone(m), func(mode string) bool { return mode == services.ModeJSON })
}

// cookieless reports whether no mode has cookies.
func (m Modes) cookieless() bool { return len(m.cookies()) == 0 }

// headers names the header that sets cookies, where a mode has some.
func (m Modes) headers() []string {
	if m.cookieless() {
		return nil
	}
	return []string{headerCookies}
}

// instead gives the cookies that may stand in for the token of a body.
func (m Modes) instead(kinds Cookies) Cookies {
	if m.cookieless() {
		return 0
	}
	return kinds
}

// andCookies adds to a text what is true where a mode has cookies.
func (m Modes) andCookies(text, more string) string {
	if m.cookieless() {
		return text
	}
	return text + " " + more
}

// loginSchema describes what a login takes.
func (m Modes) loginSchema() *openapi.Schema {
	s := requestSchema[loginRequest]("Login", "Who wants to sign in.")
	mode := s.Properties.Get("mode")
	mode.Enum, mode.Default = anyOf(m), services.DefaultMode(m)
	return s
}

// signedInSchema describes what a login and a refresh answer.
func (m Modes) signedInSchema() *openapi.Schema {
	tokens := openapi.Of[tokenResponse]("Tokens", "A pair of tokens.")
	if m.cookieless() {
		return tokens
	}
	cookies := openapi.Of[cookieResponse]("CookieLogin", "A login whose tokens are in cookies.")
	cookies.Properties.Get("mode").Enum = anyOf(m.cookies())
	if !slices.Contains(m, services.ModeJSON) {
		return cookies
	}
	return &openapi.Schema{
		Title: "SignedIn", Description: "Tokens, or that they are in cookies.", OneOf: []*openapi.Schema{tokens, cookies},
	}
}

// tokenSchema describes a body whose one member is a token. It is required
// unless a cookie may have it.
func tokenSchema[R any](m Modes, title, text, without string) *openapi.Schema {
	s := requestSchema[R](title, text+".")
	member := s.Properties[0]
	if m.cookieless() {
		s.Required = []string{member.Name}
		return s
	}
	s.Description = text + ", unless a cookie has it."
	member.Schema.Description += " " + without
	return s
}

func (m Modes) refreshSchema() *openapi.Schema {
	return tokenSchema[refreshRequest](m, "Refresh", "The refresh token", "Without it, that of the cookie.")
}

// sessionSchema describes a session. Those of modes that are not allowed any
// more have ended.
func (m Modes) sessionSchema() *openapi.Schema {
	s := resourceSchema[struct{}]("Session", "A login, until it ends.", sessionMembers)
	s.Properties.Get("mode").Enum = anyOf(m)
	return s
}
