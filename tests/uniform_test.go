package tests

import (
	"net/http"
	"testing"

	"dueto/services"
)

// withAndWithoutMail runs a test on a server that sends mail and on one that does not.
// Both have the accounts active, pending, barred (deactivated before it was
// confirmed), gone (deactivated), locked (whose password was taken away) and
// deleted, which is gone for good; on the first, decoy was asked for with the
// address of active.
func withAndWithoutMail(t *testing.T, f func(t *testing.T, a *app, names []string)) {
	t.Helper()
	states := []string{"pending", "barred", "gone", "locked", "deleted"}
	finish := func(a *app) {
		root := a.staff("root")
		for _, name := range []string{"barred", "gone"} {
			a.deactivate(name)
		}
		for _, u := range root.do("GET", "/users?search=locked", nil).list() {
			root.do("POST", userPath(int64(u["id"].(float64)))+"/password/reset", nil).want(http.StatusAccepted)
		}
		deleted := a.login("deleted")
		deleted.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
	}
	t.Run("with mail", func(t *testing.T) {
		t.Parallel()
		m := newMailApp(t)
		for _, name := range []string{"active", "gone", "locked", "deleted"} {
			m.member(name)
		}
		m.signUp("pending")
		m.signUp("barred")
		m.ask("decoy", address("active")).want(http.StatusCreated)
		finish(m.app)
		f(t, m.app, append(states, "decoy"))
	})
	t.Run("without mail", func(t *testing.T) {
		t.Parallel()
		a := newApp(t)
		for _, name := range []string{"active", "gone", "locked", "deleted"} {
			a.user(name)
		}
		a.register("pending")
		a.register("barred")
		finish(a)
		f(t, a, states)
	})
}

func TestUniform_LoginRefusesAlike(t *testing.T) {
	t.Parallel()
	withAndWithoutMail(t, func(t *testing.T, a *app, names []string) {
		for _, mode := range []string{"json", "one-cookie", "two-cookies"} {
			login := func(name, password string) *response {
				return a.do("POST", "/auth/login", map[string]any{"username": name, "password": password, "mode": mode})
			}
			unknown := login("unknown", password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
			if got := unknown.object()["detail"]; got != "No active account found with the given credentials" {
				t.Errorf("detail %q", got)
			}
			wantSameAnswer(t, unknown, login("active", "not the password"))
			wantSameAnswer(t, unknown, login(address("active"), "not the password"))
			wantSameAnswer(t, unknown, login(address("unknown"), password))
			for _, name := range names {
				wantSameAnswer(t, unknown, login(name, password))
				if mode == "json" {
					wantSameAnswer(t, unknown, login(name, "not the password"))
					wantSameAnswer(t, unknown, login(address(name), password))
					wantSameAnswer(t, unknown, login(address(name), "not the password"))
				}
			}
			login("active", password).want(http.StatusOK)
		}
	})
}

func TestUniform_WhatSendsMailAnswersAlike(t *testing.T) {
	t.Parallel()
	withAndWithoutMail(t, func(t *testing.T, a *app, names []string) {
		for path, sentence := range map[string]string{
			resendPath: "If an account with this address waits for its confirmation, a link is on its way.",
			resetPath:  "If there is an active account with this address, a link is on its way.",
		} {
			unknown := a.askFor(path, address("unknown"))
			unknown.wantDetail(http.StatusAccepted, sentence)
			for _, name := range append(names, "active", "ACTIVE", "root") {
				wantSameAnswer(t, unknown, a.askFor(path, address(name)))
			}
			for _, spoilt := range []func(string) string{
				func(name string) string { return name },
				func(name string) string { return name + "@" },
				func(name string) string { return address(name) + "," + address(name) },
				func(name string) string { return "<" + address(name) + ">" },
				func(name string) string { return address(name) + "\r\nBcc: " + address(name) },
				func(name string) string { return address(name) + "\x00" },
				func(name string) string { return `"` + name + `"@example.com` },
			} {
				refused := a.askFor(path, spoilt("unknown"))
				if refused.Status != http.StatusBadRequest {
					t.Errorf("%q: status %d", spoilt("unknown"), refused.Status)
				}
				for _, name := range append(names, "active") {
					wantSameAnswer(t, refused, a.askFor(path, spoilt(name)))
				}
			}
		}
		a.login("active")
	})
}
