package handlers

import (
	"dueto/openapi"
	"dueto/services"
)

// What can be asked of accounts and sessions without being signed in, or to
// change one's password.
var (
	AuthRegister = Operation{
		Text: "The account is not active until its link is followed. With mail, an address that is taken gets the same answer, and its owner a message.",
		Body: requestSchema[registerRequest]("Registration", "An account to make.", openapi.Property{Name: "username", Schema: usernameSchema}),
		Answers: []Answer{created("The new account. Without mail, with the link that confirms it.",
			resourceSchema[createUserRequest]("RegisteredUser", "An account, and the link that confirms it where the server sends no mail.", registeredMembers, "confirmation_url"))},
	}
	AuthActivateLink = Operation{
		Text:    "Confirms, where a program follows a link that was in an answer. A browser is shown a button, and a link that went by mail, HEAD and prefetches confirm nothing.",
		Query:   AnyQuery,
		Paged:   true,
		Fails:   activationFails,
		Answers: []Answer{ok("It is confirmed, or is to be by POST.", detailSchema)},
	}
	AuthActivate = Operation{
		Text:    "The body is not read.",
		Query:   AnyQuery,
		Paged:   true,
		Fails:   activationFails,
		Answers: []Answer{ok("It is confirmed.", detailSchema)},
	}
	AuthActivateResend = Operation{
		Text:    "Every address gets the same answer.",
		Body:    requestSchema[emailRequest]("Address", "Whom to write to."),
		Answers: []Answer{accepted("A link is on its way, if an account with this address waits for it.")},
	}
	AuthEmailCheck = Operation{
		Query:   AnyQuery,
		Paged:   true,
		Fails:   tokenFails,
		Answers: []Answer{ok("It can be, by POST.", detailSchema)},
	}
	AuthEmailConfirm = Operation{
		Text:    "The body is not read.",
		Query:   AnyQuery,
		Paged:   true,
		Fails:   append([]services.Code{services.CodeConflict}, tokenFails...),
		Answers: []Answer{ok("It is confirmed.", detailSchema)},
	}

	AuthPasswordChange = Operation{
		Body:    requestSchema[changePasswordRequest]("PasswordChange", "One's password and the next."),
		Answers: []Answer{done("It is changed, and all other sessions are ended.")},
	}
	AuthPasswordReset = Operation{
		Text:    "Every address gets the same answer. The password stays until the link is used.",
		Body:    requestSchema[emailRequest]("Address", "Whom to write to."),
		Answers: []Answer{accepted("A link is on its way, if there is an active account with this address.")},
	}
	AuthPasswordResetConfirm = Operation{
		Body:    requestSchema[confirmResetRequest]("PasswordReset", "A new password, by the token of a link."),
		Fails:   tokenFails,
		Answers: []Answer{done("It is set. All sessions and API tokens are ended, and the link with every older one.")},
	}
	AuthPasswordResetPage = Operation{
		Query:   AnyQuery,
		Paged:   true,
		Fails:   tokenFails,
		Answers: []Answer{ok("A page with a form, or where to post.", detailSchema)},
	}
	AuthPasswordResetForm = Operation{
		Text:     "For browsers: programs post JSON to `/auth/password/reset/confirm`.",
		Query:    AnyQuery,
		Paged:    true,
		Body:     resetFormSchema,
		BodyType: "application/x-www-form-urlencoded",
		Fails:    tokenFails,
		Answers:  []Answer{ok("It is set.", detailSchema)},
	}
)

// AuthLogin describes POST /auth/login of a server with some modes.
func AuthLogin(modes Modes) Operation {
	return Operation{
		Text:    "By the name, in any case, or by the e-mail address. An unknown name, a wrong password and an account that is not active are refused alike.",
		Body:    modes.loginSchema(),
		Fails:   []services.Code{services.CodeNoActiveAccount},
		Answers: []Answer{ok("Signed in.", modes.signedInSchema(), modes.headers()...)},
	}
}

// AuthRefresh describes POST /auth/refresh, likewise.
func AuthRefresh(modes Modes) Operation {
	return Operation{
		Text:     "The refresh token is spent by it. Within 10 seconds it gives the same pair again; later it ends the session.",
		Body:     modes.refreshSchema(),
		Optional: !modes.cookieless(),
		Cookies:  modes.instead(RefreshCookie),
		Fails:    tokenFails,
		Answers:  []Answer{ok("A new pair.", modes.signedInSchema(), modes.headers()...)},
	}
}

// AuthVerify describes POST /auth/verify, likewise.
func AuthVerify(modes Modes) Operation {
	return Operation{
		Body:     tokenSchema[verifyRequest](modes, "Verification", "The token to look at", "Without it, the access token of the cookie."),
		Optional: !modes.cookieless(),
		Cookies:  modes.instead(AccessCookies),
		Fails:    tokenFails,
		Answers:  []Answer{ok("It would be taken now.", openapi.Of[services.Claims]("Claims", "What a token says (RFC 7519, 4.1). Times are seconds since 1970."))},
	}
}

// AuthLogout describes POST /auth/logout, likewise.
func AuthLogout(modes Modes) Operation {
	return Operation{
		Body:     modes.refreshSchema(),
		Optional: !modes.cookieless(),
		Cookies:  modes.instead(RefreshCookie | AccessCookies),
		Clears:   !modes.cookieless(),
		Fails:    tokenFails,
		Answers:  []Answer{done(modes.andCookies("The session is ended.", "Cookies that it was in are taken away."), modes.headers()...)},
	}
}

var activationFails = append([]services.Code{services.CodeAlreadyActive}, tokenFails...)

// resetFormSchema is the form that asks for a password twice. What a form has
// besides is not looked at.
var resetFormSchema = &openapi.Schema{
	Title: "PasswordForm", Description: "The form of the page.", Type: openapi.Types{openapi.Object},
	Properties: openapi.Properties{{Name: "new_password", Schema: newPasswordSchema()}, {Name: "repeated", Schema: newPasswordSchema()}},
	Required:   []string{"new_password", "repeated"},
}
