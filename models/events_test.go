package models

import "testing"

func TestAddSecurityEvent_OfNoAccountWritesAndLeavesNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		user := User{Username: "anna", UsernameKey: "anna", Email: "a@example.org", EmailKey: "a@example.org", Permissions: "[]", TimeZone: "UTC"}
		count := func(query string) int64 {
			t.Helper()
			n, err := scalar(s.Read(t.Context()), query)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		add := func(userID int64) {
			t.Helper()
			err := s.Write(t.Context(), func(tx DB) error {
				return AddSecurityEvent(tx, SecurityEvent{UserID: userID, Event: "login failed", At: 1}, 2)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		lastNumber := "SELECT seq FROM sqlite_sequence WHERE name = 'security_events'"
		if _, ok := s.engine.(*postgresEngine); ok {
			lastNumber = "SELECT last_value FROM security_events_id_seq"
		}
		add(0) // with no account at all there is nothing that could be told
		if err := s.Write(t.Context(), func(tx DB) error { return CreateUser(tx, &user) }); err != nil {
			t.Fatal(err)
		}
		add(user.ID)
		for i, nobody := range []int64{0, user.ID + 1} {
			add(nobody)
			if n := count("SELECT count(*) FROM security_events"); n != 1 {
				t.Errorf("event of account %d: %d are kept, want 1", nobody, n)
			}
			// The numbers given out are a row that is written each time.
			if n := count(lastNumber); n != int64(2+i) {
				t.Errorf("event of account %d: the last number is %d, want %d", nobody, n, 2+i)
			}
		}
		for range 3 {
			add(user.ID)
		}
		if n := count("SELECT min(id) FROM security_events"); n != 5 {
			t.Errorf("the oldest that is kept is %d, want 5", n)
		}
	})
}
