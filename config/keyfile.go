package config

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	minRSABits = 2048
	// newRSABits is about as strong as the keys of the other algorithms.
	newRSABits = 3072

	blockPublic  = "PUBLIC KEY"
	blockPrivate = "PRIVATE KEY"
)

// keyBlock is one key of a PEM text; private is nil where only the public part
// is there.
type keyBlock struct {
	private crypto.Signer
	public  crypto.PublicKey
}

// parseKeys reads the keys of a PEM text and checks that each is one of the
// algorithm's. What it complains of has nothing of a key in it.
func parseKeys(text []byte, algorithm string) ([]keyBlock, error) {
	begun := strings.Count(string(text), pemStart)
	var keys []keyBlock
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		n++
		if block.Type == "EC PARAMETERS" { // openssl ecparam writes them before the key, which repeats them
			continue
		}
		key, err := parseBlock(block)
		if err == nil {
			err = checkKey(key.public, algorithm)
		}
		if err != nil {
			return nil, fmt.Errorf("block %d (%s): %w", n, block.Type, err)
		}
		keys = append(keys, key)
	}
	switch {
	case n < begun: // the decoder passes over them
		return nil, errors.New("it has a PEM block that is damaged or cut off")
	case len(keys) == 0:
		return nil, errors.New("it has no key in PEM")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (keyBlock, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return keyBlock{}, errors.New("it is encrypted; nobody is there to ask for the password: decrypt it with openssl pkey, and keep the file to its owner")
	}
	var key any
	var err error
	switch block.Type {
	case blockPublic:
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
		return keyBlock{public: key}, err
	case blockPrivate:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return keyBlock{}, errors.New("it is not a key that is understood: there are PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE KEY and PUBLIC KEY")
	}
	if err != nil {
		return keyBlock{}, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return keyBlock{}, errors.New("it is not a key that signs")
	}
	return keyBlock{signer, signer.Public()}, nil
}

// checkKey says what is wrong with a key for an algorithm.
func checkKey(key crypto.PublicKey, algorithm string) error {
	is := "a key of another kind"
	switch k := key.(type) {
	case *rsa.PublicKey:
		if algorithm == "RS256" && k.N.BitLen() < minRSABits {
			return fmt.Errorf("it has %d bits; RS256 needs at least %d", k.N.BitLen(), minRSABits)
		}
		if algorithm == "RS256" {
			return nil
		}
		is = "an RSA key"
	case *ecdsa.PublicKey:
		if algorithm == "ES256" && k.Curve == elliptic.P256() {
			return nil
		}
		is = "a key on the curve " + k.Curve.Params().Name
	case ed25519.PublicKey:
		if algorithm == "EdDSA" {
			return nil
		}
		is = "an Ed25519 key"
	}
	needs := map[string]string{"RS256": "an RSA key", "ES256": "a key on the curve P-256", "EdDSA": "an Ed25519 key"}[algorithm]
	return fmt.Errorf("it is %s; %s needs %s", is, algorithm, needs)
}

// newKey makes a private key for an algorithm; former, if any, gives the size
// where there is a choice.
func newKey(algorithm string, former crypto.PublicKey) (crypto.Signer, error) {
	switch algorithm {
	case "RS256":
		bits := newRSABits
		if key, ok := former.(*rsa.PublicKey); ok {
			bits = key.N.BitLen()
		}
		return rsa.GenerateKey(rand.Reader, bits)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("%s has no key files", algorithm)
}

func encodePrivate(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: blockPrivate, Bytes: der}), err
}

func encodePublic(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: blockPublic, Bytes: der}), err
}
