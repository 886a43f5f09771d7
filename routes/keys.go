package routes

import (
	"context"
	"crypto"
	"time"

	"dueto/config"
	"dueto/services"
)

// claimPatience bounds the wait for the database to take up changed secrets.
const claimPatience = 5 * time.Second

// newKeyring makes the keyring from the settings, whose files it watches.
func newKeyring(d Deps) (*services.Keyring, error) {
	cfg := d.Config
	if d.Secret != nil {
		cfg.Secret = config.Secret(d.Secret)
	}
	loader := cfg.KeyLoader()
	var keys config.Keys
	var claimed [][]byte // the secrets that the database knows of this process
	unclaimed := false
	load := func() (services.KeyMaterial, bool, error) {
		loaded, changed, err := loader.Load()
		if err != nil {
			return services.KeyMaterial{}, changed, err
		}
		if changed {
			keys, unclaimed = loaded, true
		}
		if !unclaimed {
			return services.KeyMaterial{}, false, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), claimPatience)
		defer cancel()
		if err := services.ClaimSecrets(ctx, d.Store, keys.Secrets, claimed, d.Now()); err != nil {
			return services.KeyMaterial{}, changed, err
		}
		claimed, unclaimed = keys.Secrets, false
		return KeyMaterial(keys), true, nil
	}
	return services.NewKeyring(cfg.JWTAlgorithm, load, d.Logger, d.Now)
}

// KeyMaterial gives keys as the services take them.
func KeyMaterial(keys config.Keys) services.KeyMaterial {
	verifying := make([]crypto.PublicKey, len(keys.Verifying))
	for i, key := range keys.Verifying {
		verifying[i] = key.Key
	}
	return services.KeyMaterial{Secrets: keys.Secrets, Signing: keys.Signing, Verifying: verifying}
}
