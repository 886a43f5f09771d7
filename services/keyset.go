package services

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// What keys are derived for, besides each kind of token.
const (
	purposeState  = "state"
	purposeCursor = "cursor"
	purposeCSRF   = "csrf"
	purposeLimits = "limits"
)

// keySet is what is derived from key material. It does not change.
type keySet struct {
	kinds   map[TokenKind]*kindKeys
	derived map[string][][]byte
	jwks    []byte
	list    []KeyInfo
}

// kindKeys are the keys of a kind of token, all of one algorithm: a token
// cannot choose how it is checked.
type kindKeys struct {
	method jwt.SigningMethod
	id     string // of the key that signs
	key    any
	// verifying are all, by id.
	verifying map[string]any
}

// KeyInfo tells of a key what anybody may know.
type KeyInfo struct {
	// ID is what a token's kid names.
	ID        string
	Algorithm string
	Kind      TokenKind
	Signs     bool
	// Source counts what the key comes from: the signing key, if there is one,
	// then the verifying ones, then the secrets.
	Source int
}

// ListKeys gives the keys of tokens that follow from the material. It is for
// the command line.
func ListKeys(algorithm string, m KeyMaterial) ([]KeyInfo, error) {
	keys, err := newKeySet(algorithm, m)
	if err != nil {
		return nil, err
	}
	return keys.list, nil
}

// tokenMethods gives the algorithm of access tokens, and that of all others,
// which nobody else has to check.
func tokenMethods(algorithm string) (access, others jwt.SigningMethod, err error) {
	access = jwt.GetSigningMethod(algorithm)
	switch access.(type) {
	case *jwt.SigningMethodHMAC:
		return access, access, nil
	case *jwt.SigningMethodRSA, *jwt.SigningMethodECDSA, *jwt.SigningMethodEd25519:
		return access, jwt.SigningMethodHS512, nil
	}
	return nil, nil, fmt.Errorf("keys: there is no algorithm %q", algorithm)
}

func newKeySet(algorithm string, m KeyMaterial) (*keySet, error) {
	access, others, err := tokenMethods(algorithm)
	if err != nil {
		return nil, err
	}
	asymmetric := access != others
	if len(m.Secrets) == 0 || (asymmetric && m.Signing == nil) {
		return nil, fmt.Errorf("keys: there is none to sign with %s", algorithm)
	}
	s := &keySet{kinds: map[TokenKind]*kindKeys{}, derived: map[string][][]byte{}}
	source := 0
	public := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	if asymmetric {
		if public, err = s.addKeyPair(access, m); err != nil {
			return nil, err
		}
		source = 1 + len(m.Verifying)
	}
	if s.jwks, err = json.Marshal(public); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	s.jwks = append(s.jwks, '\n')
	for i, secret := range m.Secrets {
		if err := s.addSecret(secret, others, asymmetric, source+i); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addSecret adds what is derived from a secret: the keys of tokens, but of
// access tokens where those have a key pair, and the others.
func (s *keySet) addSecret(secret []byte, method jwt.SigningMethod, asymmetric bool, source int) error {
	for _, kind := range tokenKinds {
		if kind == TokenAccess && asymmetric {
			continue
		}
		key, err := deriveKey(secret, "token/"+string(kind))
		if err != nil {
			return err
		}
		id := sha256.Sum256(append([]byte("kid/"), key...))
		s.add(kind, method, hex.EncodeToString(id[:4]), key, key, source)
	}
	for _, purpose := range []string{purposeState, purposeCursor, purposeCSRF, purposeLimits} {
		key, err := deriveKey(secret, purpose)
		if err != nil {
			return err
		}
		s.derived[purpose] = append(s.derived[purpose], key)
	}
	return nil
}

// addKeyPair adds the keys of access tokens, and gives their public parts.
func (s *keySet) addKeyPair(method jwt.SigningMethod, m KeyMaterial) (jose.JSONWebKeySet, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i, public := range append([]crypto.PublicKey{m.Signing.Public()}, m.Verifying...) {
		if !fits(method.Alg(), public) {
			return set, fmt.Errorf("keys: a key is not one of %s", method.Alg())
		}
		id, err := KeyID(public)
		if err != nil {
			return set, err
		}
		if s.add(TokenAccess, method, id, m.Signing, public, i) {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, KeyID: id, Algorithm: method.Alg(), Use: "sig"})
		}
	}
	return set, nil
}

// add adds a key, unless it is there already; the first of its kind signs.
func (s *keySet) add(kind TokenKind, method jwt.SigningMethod, id string, private, public any, source int) bool {
	keys := s.kinds[kind]
	if keys == nil {
		keys = &kindKeys{method: method, id: id, key: private, verifying: map[string]any{}}
		s.kinds[kind] = keys
	}
	if _, twice := keys.verifying[id]; twice {
		return false
	}
	keys.verifying[id] = public
	s.list = append(s.list, KeyInfo{ID: id, Algorithm: method.Alg(), Kind: kind, Signs: len(keys.verifying) == 1, Source: source})
	return true
}

// fits reports whether a key is of the algorithm's type.
func fits(algorithm string, public crypto.PublicKey) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return algorithm == "RS256"
	case *ecdsa.PublicKey:
		return algorithm == "ES256" && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// KeyID gives the name under which tokens refer to a public key: its
// thumbprint (RFC 7638), the same wherever it is computed.
func KeyID(public crypto.PublicKey) (string, error) {
	print, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(print), nil
}

// deriveKey gives a 64-byte key for one purpose (HKDF, RFC 5869).
func deriveKey(secret []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha512.New, secret, nil, "dueto/v1/"+purpose, 64)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}
