package config

import (
	"slices"
	"strings"
)

var (
	authModes      = []string{"json", "one-cookie", "two-cookies"}
	hmacAlgorithms = []string{"HS256", "HS384", "HS512"}
	// keyAlgorithms sign with a private key and are checked with a public one.
	keyAlgorithms = []string{"RS256", "ES256", "EdDSA"}
)

// KeySource is where a key is: a file's name, or the PEM text itself, which is
// printed as stars.
type KeySource string

const pemStart = "-----BEGIN "

// isPEM reports whether the source is the key itself.
func (k KeySource) isPEM() bool { return strings.HasPrefix(strings.TrimSpace(string(k)), pemStart) }

// String hides a key, but not a file's name.
func (k KeySource) String() string {
	if k.isPEM() {
		return masked
	}
	return string(k)
}

// GoString hides a key from %#v.
func (k KeySource) GoString() string { return k.String() }

// MarshalText hides a key from JSON and its like.
func (k KeySource) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// AsymmetricKeys reports whether access tokens are signed with a private key.
func (c *Config) AsymmetricKeys() bool { return slices.Contains(keyAlgorithms, c.JWTAlgorithm) }

// checkKeys complains of an algorithm and keys that do not go together.
func (p *problems) checkKeys(c *Config) {
	switch {
	case c.AsymmetricKeys():
		p.unless(c.JWTSigningKey != "", "jwt-signing-key", "%s needs one; make it with: dueto keys generate", c.JWTAlgorithm)
	case slices.Contains(hmacAlgorithms, c.JWTAlgorithm):
		p.unless(c.JWTSigningKey == "", "jwt-signing-key", "%s derives its key from the secret", c.JWTAlgorithm)
		p.unless(len(c.JWTVerifyingKeys) == 0, "jwt-verifying-keys", "%s derives its keys from the secret", c.JWTAlgorithm)
	}
}
