package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"dueto/models"
)

// ErrForeignSecret says that the servers of a database have other secrets: they
// would refuse the tokens of this one, and it theirs.
var ErrForeignSecret = errors.New("the servers of this database have another secret")

// ClaimSecrets makes sure that the secrets are those of the other servers of a
// database that several machines may use: at least one must be known there.
// Those that are not yet are from then on. It fails with ErrForeignSecret. Of a
// server that runs, former are those that it had until now: whoever changed them
// may, and those that are gone are not known any more.
func ClaimSecrets(ctx context.Context, store *models.Store, secrets, former [][]byte, now time.Time) error {
	if !store.Shared() {
		return nil
	}
	own, err := fingerprints(secrets)
	if err != nil {
		return err
	}
	gone, err := fingerprints(former)
	if err != nil {
		return err
	}
	gone = slices.DeleteFunc(gone, func(f string) bool { return slices.Contains(own, f) })
	known, err := models.SecretFingerprints(store.Read(ctx))
	if err != nil || (len(gone) == 0 && !slices.ContainsFunc(own, func(f string) bool { return !slices.Contains(known, f) })) {
		return err
	}
	return store.Write(ctx, func(tx models.DB) error {
		known, err := models.SecretFingerprints(tx)
		if err != nil {
			return err
		}
		if len(former) == 0 && len(known) > 0 && !slices.ContainsFunc(own, func(f string) bool { return slices.Contains(known, f) }) {
			return ErrForeignSecret
		}
		for _, f := range gone {
			if err := models.RemoveSecretFingerprint(tx, f); err != nil {
				return err
			}
		}
		return addFingerprints(tx, own, now)
	})
}

// AdoptingEndsSessions reports whether AdoptSecrets ends what other secrets
// signed; no secrets stand for one that is still to be made. It is for the
// command line.
func AdoptingEndsSessions(ctx context.Context, store *models.Store, secrets [][]byte) (bool, error) {
	if len(secrets) == 0 {
		err := MayMakeSecret(ctx, store)
		if errors.Is(err, ErrForeignSecret) {
			return true, nil
		}
		return false, err
	}
	own, err := fingerprints(secrets)
	if err != nil {
		return false, err
	}
	known, err := models.SecretFingerprints(store.Read(ctx))
	return slices.ContainsFunc(known, func(f string) bool { return !slices.Contains(own, f) }), err
}

// CheckSecrets fails with ErrForeignSecret where a server with these secrets, or
// with one that is still to be made, would be refused by the database that was
// inspected. It is for the command line.
func CheckSecrets(found models.Inspection, secrets [][]byte) error {
	own, err := fingerprints(secrets)
	if err != nil {
		return err
	}
	toBeMade := len(secrets) == 0 && (found.Accounts || len(found.Secrets) > 0)
	if toBeMade || (len(found.Secrets) > 0 && !slices.ContainsFunc(own, func(f string) bool { return slices.Contains(found.Secrets, f) })) {
		return ErrForeignSecret
	}
	return nil
}

// AdoptSecrets makes the secrets those of the database, in place of what its
// servers had. It is for the command line.
func AdoptSecrets(ctx context.Context, store *models.Store, secrets [][]byte, now time.Time) error {
	own, err := fingerprints(secrets)
	if err != nil || !store.Shared() {
		return err
	}
	return store.Write(ctx, func(tx models.DB) error {
		if err := models.ForgetSecretFingerprints(tx); err != nil {
			return err
		}
		return addFingerprints(tx, own, now)
	})
}

// MayMakeSecret fails with ErrForeignSecret where a new secret would be another
// than that of the database's servers.
func MayMakeSecret(ctx context.Context, store *models.Store) error {
	if !store.Shared() {
		return nil
	}
	db := store.Read(ctx)
	known, err := models.SecretFingerprints(db)
	if err != nil {
		return err
	}
	accounts, err := models.HasAccounts(db)
	if err == nil && (accounts || len(known) > 0) {
		return ErrForeignSecret
	}
	return err
}

func addFingerprints(tx models.DB, own []string, now time.Time) error {
	for _, f := range own {
		if err := models.AddSecretFingerprint(tx, f, models.Micros(now)); err != nil {
			return err
		}
	}
	return nil
}

// fingerprints gives what tells secrets apart and nothing else of them.
func fingerprints(secrets [][]byte) ([]string, error) {
	list := make([]string, len(secrets))
	for i, secret := range secrets {
		key, err := deriveKey(secret, "fingerprint")
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(key)
		list[i] = hex.EncodeToString(sum[:16])
	}
	return list, nil
}
