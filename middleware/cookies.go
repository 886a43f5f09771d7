package middleware

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// The cookies of the modes. The payload is for a page's script to read, and is
// never read here.
const (
	accessCookie  = "jwt_access"         // one-cookie
	tokenCookie   = "jwt_access_token"   // two-cookies
	payloadCookie = "jwt_access_payload" // two-cookies
	refreshCookie = "jwt_refresh"
	csrfCookie    = "csrftoken"
	csrfHeader    = "X-Csrftoken" // as net/http spells it
)

// Cookies writes and reads the cookies that carry tokens.
type Cookies struct {
	// Path is the public URL's, "/" where it has none.
	Path string
	// Secure is whether the public URL is https.
	Secure bool
	// Modes are those that the server allows.
	Modes []string
}

// Access gives the credential of the cookie that carries an access token, unless
// there is an Authorization field.
func (ck Cookies) Access(r *http.Request) (services.Credential, bool, error) {
	if len(r.Header["Cookie"]) == 0 || len(r.Header["Authorization"]) > 0 {
		return services.Credential{}, false, nil
	}
	var names []string
	if slices.Contains(ck.Modes, services.ModeOneCookie) {
		names = append(names, accessCookie)
	}
	if slices.Contains(ck.Modes, services.ModeTwoCookies) {
		names = append(names, tokenCookie)
	}
	return fromCookie(r, services.TokenAccess, names...)
}

// Refresh gives the credential of the cookie that carries a refresh token, as
// Access does.
func (ck Cookies) Refresh(r *http.Request) (services.Credential, bool, error) {
	if len(r.Header["Authorization"]) > 0 || !slices.ContainsFunc(ck.Modes, func(m string) bool { return m != services.ModeJSON }) {
		return services.Credential{}, false, nil
	}
	return fromCookie(r, services.TokenRefresh, refreshCookie)
}

// fromCookie takes a token out of the one cookie of some names. A browser sends
// cookies by itself: whatever may change something needs a proof that a page of
// ours asked for it.
func fromCookie(r *http.Request, kind services.TokenKind, names ...string) (services.Credential, bool, error) {
	found := cookieValues(r, names)
	switch len(found) {
	case 0:
		return services.Credential{}, false, nil
	case 1:
	default: // one of them was set by another host of the domain
		return services.Credential{}, false, services.NewError(services.CodeMalformed, "Send one "+strings.Join(names, " or ")+" cookie.")
	}
	credential := services.Credential{Token: found[0], Kind: kind}
	if !safe(r.Method) {
		credential.CSRF = new(r.Header.Get(csrfHeader))
	}
	return credential, true, nil
}

// cookieValues gives what a request's cookies of some names hold. Request.Cookies
// passes over values that are not well-formed, and over all cookies where they
// are thousands: a bad credential would be taken for none.
func cookieValues(r *http.Request, names []string) (values []string) {
	for _, field := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(field, ";") {
			n, value, _ := strings.Cut(pair, "=")
			if slices.Contains(names, strings.TrimSpace(n)) {
				values = append(values, strings.TrimSpace(value))
			}
		}
	}
	return values
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// Set puts the tokens of a session in a mode with cookies into them, and takes
// those of the other mode away.
func (ck Cookies) Set(c *gin.Context, p services.TokenPair) {
	names := map[string]string{accessCookie: p.Access}
	stale := []string{tokenCookie, payloadCookie}
	if p.Mode == services.ModeTwoCookies {
		names = map[string]string{tokenCookie: p.Access, payloadCookie: p.Payload()}
		stale = []string{accessCookie}
	}
	// They outlast the token in them, as long as it can be refreshed: one that is
	// expired is refused, where none would be taken for nobody.
	for name, value := range names {
		ck.set(c, name, value, p.RefreshFor)
	}
	for _, name := range stale {
		ck.unset(c, name)
	}
	ck.set(c, refreshCookie, p.Refresh, p.RefreshFor)
	ck.set(c, csrfCookie, p.CSRF, p.SessionFor)
}

// Clear takes all cookies away.
func (ck Cookies) Clear(c *gin.Context) {
	for _, name := range []string{accessCookie, tokenCookie, payloadCookie, refreshCookie, csrfCookie} {
		ck.unset(c, name)
	}
}

// ClearSent takes the cookies away that a request was signed in by.
func (ck Cookies) ClearSent(c *gin.Context) {
	if len(c.Request.Header["Authorization"]) == 0 {
		ck.Clear(c)
	}
}

func (ck Cookies) set(c *gin.Context, name, value string, lasts time.Duration) {
	ck.write(c, name, value, max(1, int(lasts.Round(time.Second).Seconds())))
}

func (ck Cookies) unset(c *gin.Context, name string) { ck.write(c, name, "", -1) }

func (ck Cookies) write(c *gin.Context, name, value string, maxAge int) {
	path := ck.Path
	if name == refreshCookie {
		path = strings.TrimSuffix(ck.Path, "/") + "/auth" // alone where it is needed
	}
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // Secure follows the public URL; scripts read two of them by design
		Name: name, Value: value, Path: path, MaxAge: maxAge, Secure: ck.Secure,
		HttpOnly: name != payloadCookie && name != csrfCookie, SameSite: http.SameSiteLaxMode,
	})
}

// CrossOrigin refuses what pages of other sites have browsers send, by any
// unsafe method: by Sec-Fetch-Site, and by Origin where a browser is too old for
// it. Requests with an Authorization field are none that a browser makes by
// itself. trusted are further origins, such as https://app.example.com.
func CrossOrigin(trusted []string) (gin.HandlerFunc, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return func(c *gin.Context) {
		if len(c.Request.Header["Authorization"]) > 0 {
			return
		}
		if err := protection.Check(c.Request); err != nil {
			_ = c.Error(services.NewError(services.CodeCSRF, "CSRF Failed: this request comes from a page of another origin.").Because(err))
			c.Abort()
		}
	}, nil
}
