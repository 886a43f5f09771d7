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

// isBare reports whether the source looks like a key without its BEGIN and END
// lines, which would be taken for a file's name and told in complaints.
func (k KeySource) isBare() bool {
	const shortest = 60 // an Ed25519 key has 64
	return len(k) >= shortest && (k[0] == 'M' || strings.HasPrefix(string(k), "LS0t")) &&
		!strings.ContainsFunc(string(k), func(r rune) bool {
			return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("+/=\r\n ", r)
		})
}

// String hides a key, but not a file's name.
func (k KeySource) String() string {
	if k.isPEM() || k.isBare() {
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
	const bare = "it is neither a file nor PEM: a key needs its BEGIN and END lines"
	p.unless(!c.JWTSigningKey.isBare(), "jwt-signing-key", bare)
	p.unless(!slices.ContainsFunc(c.JWTVerifyingKeys, KeySource.isBare), "jwt-verifying-keys", bare)
	switch {
	case c.AsymmetricKeys():
		p.unless(c.JWTSigningKey != "", "jwt-signing-key", "%s needs one; make it with: dueto keys generate", c.JWTAlgorithm)
	case slices.Contains(hmacAlgorithms, c.JWTAlgorithm):
		p.unless(c.JWTSigningKey == "", "jwt-signing-key", "%s derives its key from the secret", c.JWTAlgorithm)
		p.unless(len(c.JWTVerifyingKeys) == 0, "jwt-verifying-keys", "%s derives its keys from the secret", c.JWTAlgorithm)
	}
}
