package config

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// LoadSecret gives the secret that is set, or the first in the secret file,
// which is made, readable by its owner only, if there is none. made tells.
func (c *Config) LoadSecret() (secret []byte, file string, made bool, err error) {
	if c.Secret != "" {
		return []byte(c.Secret), "", false, nil
	}
	file = c.secretFile()
	if _, err = os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if made, err = writeNew(file, append(newSecret(), '\n')); err != nil {
			return nil, file, false, fmt.Errorf("make the secret file: %w", err)
		}
	}
	secrets, err := readSecrets(file)
	if err != nil {
		return nil, file, made, err
	}
	return secrets[0], file, made, nil
}

// SecretMissing reports whether LoadSecret would make a secret.
func (c *Config) SecretMissing() bool {
	if c.Secret != "" {
		return false
	}
	_, err := os.Stat(c.secretFile())
	return errors.Is(err, fs.ErrNotExist)
}

// secretFile is the one that is set, or the one beside the database.
func (c *Config) secretFile() string {
	derived := *c
	derived.Derive()
	return derived.SecretFile
}

// readSecrets gives the lines of a secret file: the secret, and retired ones.
func readSecrets(file string) ([][]byte, error) {
	raw, err := readPrivate("secret-file", file)
	if err != nil {
		return nil, err
	}
	if err := CheckSecrets(raw); err != nil {
		return nil, fmt.Errorf("secret-file: %s: %w", file, err)
	}
	return secretLines(raw), nil
}

// CheckSecrets says what is wrong with the content of a secret file, in which
// each line is a secret.
func CheckSecrets(raw []byte) error {
	lines := secretLines(raw)
	if len(lines) == 0 {
		lines = [][]byte{nil} // too short
	}
	for i, secret := range lines {
		if err := CheckSecret(secret); err != nil && len(lines) > 1 {
			return fmt.Errorf("line %d: %w", i+1, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// secretLines splits a secret file; empty lines do not count.
func secretLines(raw []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(raw) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func newSecret() []byte {
	random := make([]byte, 48)
	_, _ = rand.Read(random) // never fails
	return []byte(base64.StdEncoding.EncodeToString(random))
}

// readPrivate reads a setting's file, which only its owner may be able to read.
func readPrivate(setting, file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others can read %s (mode %04o); run: chmod 600 %s", setting, file, info.Mode().Perm(), file)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return raw, nil
}
