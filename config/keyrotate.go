package config

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
)

// MakeKeyFile makes a file with a new private key, or a secret for an HMAC
// algorithm, that only its owner can read. It never overwrites a file; made
// tells. The public key is nil for a secret.
func MakeKeyFile(file, algorithm string) (public crypto.PublicKey, made bool, err error) {
	content := append(newSecret(), '\n')
	if slices.Contains(keyAlgorithms, algorithm) {
		key, err := newKey(algorithm, nil)
		if err != nil {
			return nil, false, err
		}
		if content, err = encodePrivate(key); err != nil {
			return nil, false, err
		}
		public = key.Public()
	}
	made, err = writeNew(file, content)
	return public, made, err
}

// KeyAlgorithms are those that access tokens can be signed with.
func KeyAlgorithms() []string { return slices.Concat(hmacAlgorithms, keyAlgorithms) }

// Rotation is what became of a file of keys.
type Rotation struct {
	File string
	// Public is the new key; nil for a secret.
	Public crypto.PublicKey
	// Kept is how many former keys still verify.
	Kept int
}

// RotateSigningKey puts a new private key first in the file of the signing
// key, and keeps the public parts of so many former ones.
func (c *Config) RotateSigningKey(keep int) (Rotation, error) {
	r := Rotation{File: string(c.JWTSigningKey)}
	if c.JWTSigningKey.isPEM() {
		return r, errors.New("jwt-signing-key: the setting holds the key itself: only a file can be rotated")
	}
	if _, err := c.loadSigningKeys(); err != nil {
		return r, err
	}
	err := replace(r.File, func(old []byte) (content []byte, err error) {
		blocks, err := parseKeys(old, c.JWTAlgorithm)
		if err != nil {
			return nil, err
		}
		key, err := newKey(c.JWTAlgorithm, blocks[0].public)
		if err != nil {
			return nil, err
		}
		var former [][]byte
		for _, block := range blocks {
			text, err := encodePublic(block.public)
			if err != nil {
				return nil, err
			}
			former = append(former, text)
		}
		first, err := encodePrivate(key)
		if err != nil {
			return nil, err
		}
		r.Public = key.Public()
		content, r.Kept = withFormer(first, former, keep)
		return content, nil
	})
	if err != nil {
		return r, fmt.Errorf("jwt-signing-key: %s: %w", r.File, err)
	}
	return r, nil
}

// RotateSecret puts a new secret first in the secret file, and keeps so many
// former ones.
func (c *Config) RotateSecret(keep int) (Rotation, error) {
	if c.Secret != "" {
		return Rotation{}, errors.New("secret: the setting holds the secret itself: only a file can be rotated")
	}
	r := Rotation{File: c.secretFile()}
	if _, err := readSecrets(r.File); err != nil {
		return r, err
	}
	err := replace(r.File, func(old []byte) ([]byte, error) {
		var former [][]byte
		for _, line := range secretLines(old) {
			former = append(former, append(bytes.Clone(line), '\n'))
		}
		var content []byte
		content, r.Kept = withFormer(append(newSecret(), '\n'), former, keep)
		return content, nil
	})
	if err != nil {
		return r, fmt.Errorf("secret-file: %s: %w", r.File, err)
	}
	return r, nil
}

// withFormer puts at most keep former entries behind the first, each once.
func withFormer(first []byte, former [][]byte, keep int) (content []byte, kept int) {
	entries := [][]byte{first}
	for _, entry := range former {
		twice := slices.ContainsFunc(entries, func(e []byte) bool { return bytes.Equal(e, entry) })
		if !twice && len(entries) <= keep {
			entries = append(entries, entry)
		}
	}
	return bytes.Join(entries, nil), len(entries) - 1
}
