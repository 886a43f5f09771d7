package models

import (
	"errors"
)

// SecretFingerprints gives what the secrets of a database's servers are known by.
func SecretFingerprints(db DB) ([]string, error) {
	var list []string
	err := few(db, func(rows row) error {
		var fingerprint string
		err := rows.Scan(&fingerprint)
		list = append(list, fingerprint)
		return err
	}, "SELECT fingerprint FROM secret_fingerprints")
	return list, err
}

// AddSecretFingerprint adds one, unless it is there.
func AddSecretFingerprint(tx DB, fingerprint string, now int64) error {
	return tx.exec("INSERT INTO secret_fingerprints (fingerprint, since) VALUES (?, ?) ON CONFLICT DO NOTHING", fingerprint, now)
}

// RemoveSecretFingerprint removes one, if it is there.
func RemoveSecretFingerprint(tx DB, fingerprint string) error {
	return tx.exec("DELETE FROM secret_fingerprints WHERE fingerprint = ?", fingerprint)
}

// ForgetSecretFingerprints removes all.
func ForgetSecretFingerprints(tx DB) error { return tx.exec("DELETE FROM secret_fingerprints") }

// HasAccounts reports whether there is any account.
func HasAccounts(db DB) (bool, error) {
	_, err := scalar(db, "SELECT id FROM users LIMIT 1")
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
