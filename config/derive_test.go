package config

import "testing"

func TestDerive_FillsInWhatFollowsFromOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ addr, database, url, secretFile string }{
		{"127.0.0.1:8000", "sqlite:dueto.db", "http://127.0.0.1:8000", "dueto.secret"},
		{":80", "sqlite:///var/lib/dueto.db", "http://localhost:80", "/var/lib/dueto.secret"},
		{"[::]:80", "sqlite:a/b.db", "http://localhost:80", "a/dueto.secret"},
		{"[::1]:80", "sqlite:b.db", "http://[::1]:80", "dueto.secret"},
		{"127.0.0.1:0", "sqlite:b.db", "", "dueto.secret"},
	} {
		c := Config{Addr: tt.addr, Database: tt.database}
		c.Derive()
		if c.PublicURL != tt.url || c.SecretFile != tt.secretFile {
			t.Errorf("%+v: %q and %q", tt, c.PublicURL, c.SecretFile)
		}
	}
}
