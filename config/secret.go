package config

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// publishedSecrets are values printed in tutorials and sample files, and what
// people type in their place: everybody has them. Compared in lower case, by
// part, so that padding one does not help.
var publishedSecrets = []string{
	"changeme", "change-me", "change_me", "change this", "change-this", "change_this",
	"your-secret", "your_secret", "your secret", "yoursecret", "my-secret", "my_secret", "mysecret", "my secret",
	"secret-key", "secret_key", "secretkey", "supersecret", "super-secret", "super_secret", "super secret",
	"256-bit-secret", "256-bits-long", "django-insecure", "insecure", "example", "placeholder", "replace-me", "replace_me", "replaceme", "to-do", "default",
	"keyboard cat", "shhhh", "password", "0123456789", "1234567890", "abcdefghij", "qwertyuiop",
}

// CheckSecret says what is wrong with a secret: too short, published, or
// hardly varied.
func CheckSecret(secret []byte) error {
	if len(secret) < MinSecretBytes {
		return fmt.Errorf("it has %d bytes; at least %d are needed", len(secret), MinSecretBytes)
	}
	lower := strings.ToLower(string(secret))
	for _, known := range publishedSecrets {
		if strings.Contains(lower, known) {
			return fmt.Errorf("it contains %q, which is in tutorials or easily guessed; make one with: openssl rand -base64 48", known)
		}
	}
	distinct := map[byte]bool{}
	for _, b := range secret {
		distinct[b] = true
	}
	if len(distinct) < 10 {
		return errors.New("it repeats a few characters; make one with: openssl rand -base64 48")
	}
	return nil
}

// LoadSecret gives the secret that is set, or the one in the secret file,
// which is made, readable by its owner only, if there is none. made tells.
func (c *Config) LoadSecret() (secret []byte, file string, made bool, err error) {
	if c.Secret != "" {
		return []byte(c.Secret), "", false, nil
	}
	derived := *c
	derived.Derive()
	file = derived.SecretFile
	if _, err = os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if made, err = makeSecret(file); err != nil {
			return nil, file, false, fmt.Errorf("make the secret file: %w", err)
		}
	}
	secret, err = readSecret(file)
	return secret, file, made, err
}

func readSecret(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("secret-file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret-file: others can read %s (mode %04o); run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("secret-file: %w", err)
	}
	secret := bytes.TrimSpace(raw)
	if err := CheckSecret(secret); err != nil {
		return nil, fmt.Errorf("secret-file: %s: %w", file, err)
	}
	return secret, nil
}

// makeSecret writes a new secret under another name and links it into place:
// of two processes that start together one wins, which made tells, and neither
// reads half a file.
func makeSecret(file string) (made bool, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".dueto.secret-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	random := make([]byte, 48)
	_, _ = rand.Read(random) // never fails
	_, err = fmt.Fprintln(tmp, base64.StdEncoding.EncodeToString(random))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return false, err
	}
	err = os.Link(tmp.Name(), file)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, errors.Join(err, syncDir(filepath.Dir(file)))
}

// syncDir makes a new name in a folder survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
