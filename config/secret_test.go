package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// besideDatabase gives settings whose database is in a new folder, and the
// path that their secret will have.
func besideDatabase(t *testing.T) (Config, string) {
	t.Helper()
	dir := t.TempDir()
	c := Default()
	c.Database = "sqlite:" + filepath.Join(dir, "dueto.db")
	return c, filepath.Join(dir, "dueto.secret")
}

func TestLoadSecret_IsMadeOnceForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	c, file := besideDatabase(t)
	first, where, made, err := c.LoadSecret()
	if err != nil || where != file || !made {
		t.Fatalf("got %s, made %v, %v; want %s, made", where, made, err, file)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the file has mode %v, %v", info.Mode(), err)
	}
	if err := CheckSecret(first); err != nil {
		t.Errorf("the secret that was made will not do: %v", err)
	}
	again, _, made, err := c.LoadSecret()
	if err != nil || made || !bytes.Equal(first, again) {
		t.Errorf("the second time: made %v, %v, the same %v", made, err, bytes.Equal(first, again))
	}
	other, _ := besideDatabase(t)
	if elsewhere, _, _, err := other.LoadSecret(); err != nil || bytes.Equal(first, elsewhere) {
		t.Errorf("two databases share a secret (%v)", err)
	}
}

func TestLoadSecret_IsFoundBesideTheDatabaseOrWhereTheSettingSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct{ database, secretFile, want string }{
		{"sqlite:" + dir + "/a.db", "", dir + "/dueto.secret"},
		{"sqlite://" + dir + "/a.db", "", dir + "/dueto.secret"},
		{"sqlite:" + dir + "/a.db", dir + "/other", dir + "/other"},
	} {
		c := Default()
		c.Database, c.SecretFile = tt.database, tt.secretFile
		if _, file, _, err := c.LoadSecret(); err != nil || file != tt.want {
			t.Errorf("%s, %s: got %s, %v; want %s", tt.database, tt.secretFile, file, err, tt.want)
		}
	}
}

func TestLoadSecret_SettingIsTakenAsItIsAndMakesNoFile(t *testing.T) {
	t.Parallel()
	c, file := besideDatabase(t)
	c.Secret = goodSecret
	got, where, made, err := c.LoadSecret()
	if string(got) != goodSecret || where != "" || made || err != nil {
		t.Errorf("got %q, %q, %v, %v", got, where, made, err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a file was made (%v)", err)
	}
}

func TestLoadSecret_ConcurrentMakersAgree(t *testing.T) {
	t.Parallel()
	for range 25 {
		c, file := besideDatabase(t)
		const makers = 2
		var secrets [makers][]byte
		var made [makers]bool
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range makers {
			wg.Go(func() {
				<-begin
				var err error
				if secrets[i], _, made[i], err = c.LoadSecret(); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		wg.Wait()
		if len(secrets[0]) == 0 || !bytes.Equal(secrets[0], secrets[1]) {
			t.Fatalf("two makers have different secrets")
		}
		if made[0] == made[1] {
			t.Fatalf("who made it: %v; want one of them", made)
		}
		left, err := os.ReadDir(filepath.Dir(file))
		if err != nil || len(left) != 1 {
			t.Fatalf("more than the secret is left behind: %v, %v", left, err)
		}
	}
}

func TestLoadSecret_FileThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660, 0o620, 0o610, 0o601} {
		c, file := besideDatabase(t)
		writeSecret(t, file, goodSecret, mode)
		_, _, made, err := c.LoadSecret()
		if err == nil || made || !strings.Contains(err.Error(), "chmod 600 "+file) {
			t.Errorf("mode %04o: made %v, %v", mode, made, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		c, file := besideDatabase(t)
		writeSecret(t, file, goodSecret+"\n", mode)
		if got, _, _, err := c.LoadSecret(); err != nil || string(got) != goodSecret {
			t.Errorf("mode %04o: %q, %v", mode, got, err)
		}
	}
}

// writeSecret sets the mode apart: the process's mask would cut it.
func writeSecret(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, secret, complaint string }{
		{"good", goodSecret, ""},
		{"bytes of any kind", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1\xf0\xef\xee\xed\xec\xeb\xea", ""},
		{"empty", "", "it has 0 bytes; at least 32 are needed"},
		{"one byte short", goodSecret[:31], "it has 31 bytes; at least 32 are needed"},
		{"published, twice", "your-256-bit-secret-your-256-bit-secret", "contains"},
		{"published at jwt.io", "a-string-secret-at-least-256-bits-long", "contains"},
		{"published, padded", goodSecret + "changeme", "contains"},
		{"published, in capitals", "MY-SECRET" + goodSecret, "contains"},
		{"published by a framework", "django-insecure-" + goodSecret, "contains"},
		{"keys in a row", "qwertyuiop" + goodSecret, "contains"},
		{"one byte repeated", strings.Repeat("x", 64), "it repeats a few characters"},
		{"nine characters repeated", strings.Repeat("aZ3$kQ9!m", 8), "it repeats a few characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := CheckSecret([]byte(tt.secret))
			if (err == nil) != (tt.complaint == "") || (err != nil && !strings.Contains(err.Error(), tt.complaint)) {
				t.Fatalf("got %v, want %q", err, tt.complaint)
			}
			if err == nil {
				return
			}
			if tt.secret != "" && strings.Contains(err.Error(), tt.secret) {
				t.Errorf("the complaint quotes the secret: %v", err)
			}
			c, file := besideDatabase(t)
			writeSecret(t, file, tt.secret, 0o600)
			if _, _, _, err := c.LoadSecret(); err == nil || !strings.HasPrefix(err.Error(), "secret-file: "+file+": ") {
				t.Errorf("from a file: %v", err)
			}
		})
	}
}

func TestCheck_SecretBesideSecretFileIsRefused(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Secret, c.SecretFile = goodSecret, "dueto.secret"
	if err := c.Check(); err == nil || err.Error() != "secret: set either secret or secret-file" {
		t.Errorf("got %v", err)
	}
}

func TestLoadSecret_MissingFolderIsAnError(t *testing.T) {
	t.Parallel()
	c := Default()
	c.SecretFile = filepath.Join(t.TempDir(), "missing", "dueto.secret")
	if secret, _, made, err := c.LoadSecret(); err == nil || made || secret != nil {
		t.Errorf("got %q, made %v, %v", secret, made, err)
	}
}
