package routes

import (
	"crypto"

	"dueto/config"
	"dueto/services"
)

// newKeyring makes the keyring from the settings, whose files it watches.
func newKeyring(d Deps) (*services.Keyring, error) {
	cfg := d.Config
	if d.Secret != nil {
		cfg.Secret = config.Secret(d.Secret)
	}
	loader := cfg.KeyLoader()
	load := func() (services.KeyMaterial, bool, error) {
		keys, changed, err := loader.Load()
		return KeyMaterial(keys), changed, err
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
