package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dueto/config"
)

// memberAt gives what a path of member names leads to in a decoded document; a
// reference on the way is followed.
func memberAt(t testing.TB, document any, names ...string) any {
	t.Helper()
	value := document
	for i := 0; ; i++ {
		o, _ := value.(map[string]any)
		if ref, ok := o["$ref"].(string); ok {
			value = memberAt(t, document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			o, _ = value.(map[string]any)
		}
		if i == len(names) {
			return value
		}
		value = o[names[i]]
	}
}

func textsOf(value any) (list []string) {
	for _, word := range value.([]any) {
		list = append(list, word.(string))
	}
	return list
}

// What a client reads of the modes is what it can do.
func TestModes_DocumentOptionsAndServerAgree(t *testing.T) {
	t.Parallel()
	for _, allowed := range [][]string{{"json"}, {oneCookie}, {twoCookies}, {twoCookies, oneCookie}, {"json", oneCookie, twoCookies}} {
		t.Run(strings.Join(allowed, ","), func(t *testing.T) {
			t.Parallel()
			a := newApp(t, func(c *config.Config) { c.AuthModes = allowed })
			a.staffAccount("alice")
			text := a.do("GET", "/openapi.json", nil).want(http.StatusOK).Body
			var document any
			if err := json.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			cookies := !slices.Equal(allowed, []string{"json"})
			wantLogins(a, document, allowed)
			wantTokenBodies(a, document, cookies)
			for _, found := range regexp.MustCompile(`"mode":"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
				if !slices.Contains(allowed, found[1]) {
					t.Errorf("an example has the mode %s", found[1])
				}
			}
			if tokens := strings.Contains(string(text), `"token_type":"Bearer"`); tokens != slices.Contains(allowed, "json") {
				t.Errorf("that an example has tokens is %v", tokens)
			}
			for _, word := range []string{"Set-Cookie", "CookieLogin", "jwt_refresh"} {
				if strings.Contains(string(text), word) != cookies {
					t.Errorf("that the document has %s is %v", word, !cookies)
				}
			}
		})
	}
}

// wantLogins signs in in each mode, those that are not allowed too.
func wantLogins(a *app, document any, allowed []string) {
	a.t.Helper()
	mode := memberAt(a.t, document, "paths", "/auth/login", "post", "requestBody", "content", "application/json", "schema", "properties", "mode")
	var offered []string
	for _, choice := range a.options("/auth/login").Actions["POST"]["mode"].Choices {
		offered = append(offered, choice.Value)
	}
	if documented := textsOf(memberAt(a.t, mode, "enum")); !slices.Equal(documented, allowed) || !slices.Equal(offered, allowed) {
		a.t.Errorf("the document has %v, OPTIONS %v", documented, offered)
	}
	login := map[string]any{"username": "alice", "password": password}
	said := memberAt(a.t, mode, "description").(string)
	if got := carriedIn(a.do("POST", "/auth/login", login).want(http.StatusOK)); !strings.Contains(said, fmt.Sprintf("By default `%s`.", got)) {
		a.t.Errorf("by default tokens are carried in %v; the document says %q", got, said)
	}
	for _, mode := range []string{"json", oneCookie, twoCookies} {
		login["mode"] = mode
		r := a.do("POST", "/auth/login", login)
		if !slices.Contains(allowed, mode) {
			r.wantFields("mode")
		} else if got := carriedIn(r.want(http.StatusOK)); got != mode {
			a.t.Errorf("with %s tokens are carried in %v", mode, got)
		}
	}
}

// carriedIn tells in which mode an answer carries tokens.
func carriedIn(r *response) any {
	r.t.Helper()
	answer := r.object()
	_, tokens := answer["access"]
	if tokens == (len(r.setCookies()) > 0) {
		r.t.Errorf("%s has %d cookies", r.Body, len(r.setCookies()))
	}
	if tokens {
		return "json"
	}
	return answer["mode"]
}

// wantTokenBodies asks without the token that a cookie may have.
func wantTokenBodies(a *app, document any, cookies bool) {
	a.t.Helper()
	for path, name := range map[string]string{"/auth/refresh": "refresh", "/auth/verify": "token", "/auth/logout": "refresh"} {
		body := memberAt(a.t, document, "paths", path, "post", "requestBody")
		required, _ := memberAt(a.t, body, "required").(bool)
		schema := memberAt(a.t, document, "paths", path, "post", "requestBody", "content", "application/json", "schema").(map[string]any)
		text, _ := schema["properties"].(map[string]any)[name].(map[string]any)["description"].(string)
		if required == cookies || (schema["required"] != nil) == cookies || strings.Contains(text, "cookie") != cookies || a.options(path).Actions["POST"][name].Required == cookies {
			a.t.Errorf("%s is said to take %v, with %v", path, schema, body)
		}
		a.do("POST", path, nil).wantFields(name)
		a.do("POST", path, map[string]any{}).wantFields(name)
	}
	if !cookies {
		return
	}
	for _, mode := range a.Config.AuthModes {
		if mode == "json" {
			continue
		}
		b := a.signedIn("alice", mode)
		for _, path := range []string{"/auth/verify", "/auth/refresh"} {
			b.page("POST", path, nil).want(http.StatusOK)
		}
		b.page("POST", "/auth/logout", nil).want(http.StatusNoContent)
	}
}
