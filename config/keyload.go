package config

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Keys are what the settings of keys give, read.
type Keys struct {
	// Secrets are the one in force, then retired ones; SecretFrom says where
	// they are from.
	Secrets    [][]byte
	SecretFrom string
	// Signing is nil where the secret signs access tokens.
	Signing     crypto.Signer
	SigningFrom string
	Verifying   []VerifyingKey
}

// VerifyingKey is a public key that access tokens are checked with, and where
// it is from.
type VerifyingKey struct {
	Key  crypto.PublicKey
	From string
}

// LoadKeys reads the keys and reports all that is wrong with them. It makes no
// secret file: see LoadSecret.
func (c *Config) LoadKeys() (Keys, error) {
	keys, err := c.loadSigningKeys()
	secrets, from, secretErr := c.loadSecrets()
	keys.Secrets, keys.SecretFrom = secrets, from
	return keys, errors.Join(secretErr, err)
}

func (c *Config) loadSecrets() (secrets [][]byte, from string, err error) {
	if c.Secret != "" {
		return [][]byte{[]byte(c.Secret)}, "secret", nil
	}
	file := c.secretFile()
	secrets, err = readSecrets(file)
	return secrets, file, err
}

func (c *Config) loadSigningKeys() (keys Keys, err error) {
	if !c.AsymmetricKeys() {
		return keys, nil
	}
	keys.SigningFrom = c.JWTSigningKey.from("jwt-signing-key")
	blocks, err := c.JWTSigningKey.load("jwt-signing-key", c.JWTAlgorithm, readPrivate)
	switch {
	case err != nil:
	case blocks[0].private == nil:
		err = fmt.Errorf("jwt-signing-key: %s: the first key is a public one, which cannot sign", keys.SigningFrom)
	default:
		keys.Signing = blocks[0].private
		for _, block := range blocks[1:] {
			keys.Verifying = append(keys.Verifying, VerifyingKey{block.public, keys.SigningFrom})
		}
	}
	errs := []error{err}
	for _, source := range c.JWTVerifyingKeys {
		from := source.from("jwt-verifying-keys")
		blocks, err := source.load("jwt-verifying-keys", c.JWTAlgorithm, readPublic)
		errs = append(errs, err)
		for _, block := range blocks {
			if block.private != nil {
				errs = append(errs, fmt.Errorf("jwt-verifying-keys: %s: it holds a private key, which is not needed; make its public one with: openssl pkey -pubout", from))
				break
			}
			keys.Verifying = append(keys.Verifying, VerifyingKey{block.public, from})
		}
	}
	return keys, errors.Join(errs...)
}

// CheckSigningKeys reports all that is wrong with the keys of access tokens.
func (c *Config) CheckSigningKeys() error {
	_, err := c.loadSigningKeys()
	return err
}

// from names the source for people: the file, or the setting that holds the key.
func (k KeySource) from(setting string) string {
	if k.isPEM() {
		return setting
	}
	return string(k)
}

// load reads the keys of a source, of which there is at least one.
func (k KeySource) load(setting, algorithm string, read func(setting, file string) ([]byte, error)) ([]keyBlock, error) {
	text, place := []byte(strings.TrimSpace(string(k))), "its text"
	if !k.isPEM() {
		place = string(k)
		var err error
		if text, err = read(setting, place); err != nil {
			return nil, err
		}
	}
	blocks, err := parseKeys(text, algorithm)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", setting, place, err)
	}
	return blocks, nil
}

func readPublic(setting, file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return text, nil
}

// KeyLoader reads keys again where their files have changed. It is for one
// caller at a time.
type KeyLoader struct {
	config Config
	files  []string
	seen   []fileState
	failed bool
}

// KeyLoader makes a loader that has not read anything yet.
func (c *Config) KeyLoader() *KeyLoader {
	l := &KeyLoader{config: *c}
	if c.Secret == "" {
		l.files = append(l.files, c.secretFile())
	}
	if c.AsymmetricKeys() {
		for _, source := range append([]KeySource{c.JWTSigningKey}, c.JWTVerifyingKeys...) {
			if !source.isPEM() {
				l.files = append(l.files, string(source))
			}
		}
	}
	return l
}

// Load gives the keys, or nothing where they have not changed since the last
// call. Files that could not be used are read anew each time: what kept them
// from it may not show.
func (l *KeyLoader) Load() (keys Keys, changed bool, err error) {
	now := make([]fileState, len(l.files))
	for i, file := range l.files {
		now[i] = stateOf(file)
	}
	changed = l.seen == nil || !slices.EqualFunc(l.seen, now, fileState.same)
	if !changed && !l.failed {
		return Keys{}, false, nil
	}
	l.seen = now // taken before the files are read: a change meanwhile shows next time
	keys, err = l.config.LoadKeys()
	changed = changed || err == nil
	l.failed = err != nil
	return keys, changed, err
}

// fileState tells a file from what it was before; a nil info is no file.
type fileState struct{ info fs.FileInfo }

func stateOf(file string) fileState {
	info, err := os.Stat(file)
	if err != nil {
		return fileState{}
	}
	return fileState{info}
}

func (s fileState) same(other fileState) bool {
	a, b := s.info, other.info
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
