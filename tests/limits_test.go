package tests

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"dueto/config"
	"dueto/services"
)

func TestCreateTask_OfAnAccountThatIsGoneIsRefusedAsSuch(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	gone := services.Actor{UserID: 4711} // authenticated a moment before it was deleted
	_, err := a.Services.Tasks.Create(context.Background(), gone, services.TaskPatch{Title: services.SetTo("Late")})
	if !errors.Is(err, services.ErrUserInactive) {
		var public *services.Error
		if !errors.As(err, &public) || public.Code != services.CodeUserInactive {
			t.Errorf("got %v", err)
		}
	}
}

// The proxy's own header is the only one that is believed: a client can send
// any other past it.
func TestLogin_AddressIsTheForwardedOneOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	a.user("alice")
	login := func(headers ...header) string {
		t.Helper()
		a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}, headers...).want(http.StatusOK)
		db := openDatabase(t, a.Config.Database)
		defer func() { _ = db.Close() }()
		var address string
		if err := db.QueryRow("SELECT address FROM sessions ORDER BY id DESC LIMIT 1").Scan(&address); err != nil {
			t.Fatal(err)
		}
		return address
	}
	for _, tt := range []struct {
		want    string
		headers []header
	}{
		{"127.0.0.1", nil},
		{"127.0.0.1", []header{{"X-Real-IP", "6.6.6.6"}}},
		{"203.0.113.9", []header{{"X-Forwarded-For", "6.6.6.6, 203.0.113.9"}}},
		{"203.0.113.9", []header{{"X-Forwarded-For", "203.0.113.9"}, {"X-Real-IP", "6.6.6.6"}}},
	} {
		if got := login(tt.headers...); got != tt.want {
			t.Errorf("%v: the session's address is %s, want %s", tt.headers, got, tt.want)
		}
	}
}

func TestPatchUser_AWordIsNotForOneself(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, bob := a.staff("boss"), a.user("bob")
	boss.do("PATCH", userPath(bob.ID), map[string]any{"permissions": []string{services.PermChangeUsers}}).want(http.StatusOK)
	if me := bob.do("PATCH", "/users/me", map[string]any{"email": "new@example.com"}).want(http.StatusOK).object(); me["email"] != "bob@example.com" || me["pending_email"] != "new@example.com" {
		t.Errorf("without its confirmation the address is %v", me)
	}
	bob.do("PATCH", "/users/me", map[string]any{"is_active": false}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	bob.do("PATCH", "/users/me", map[string]any{"time_zone": "Europe/Berlin"}).want(http.StatusOK)
}

func TestLists_BlankOrderingOrFieldsIsSaidToBeBlank(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, query := range []string{"ordering", "fields", "cursor"} {
		r := a.do("GET", "/tasks?"+query+"=", nil).wantFields(query)
		if !strings.Contains(string(r.Body), "This field may not be blank.") {
			t.Errorf("%s", r.Body)
		}
	}
}

func TestPath_WithAnEmptySegmentIsNotThere(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, path := range []string{"//", "/tasks//", "//tasks", "/users//", "/tasks//1"} {
		a.do("GET", path, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
}
