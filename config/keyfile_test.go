package config

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func privatePEM(key any) string { return pemText(blockPrivate, must(x509.MarshalPKCS8PrivateKey(key))) }

func publicPEM(key crypto.Signer) string {
	return pemText(blockPublic, must(x509.MarshalPKIXPublicKey(key.Public())))
}

// testKeys are made once; RSA takes its time.
var testKeys = sync.OnceValue(func() (k struct {
	rsa, short             *rsa.PrivateKey
	p256, other, p384      *ecdsa.PrivateKey
	ed                     ed25519.PrivateKey
	sec1, pkcs1, encrypted string
}) {
	k.rsa, k.short = must(rsa.GenerateKey(rand.Reader, 2048)), must(rsa.GenerateKey(rand.Reader, 2047))
	k.p256, k.other = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	k.p384 = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	k.sec1 = pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k.p256)))
	k.pkcs1 = pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa))
	k.encrypted = pemText("ENCRYPTED PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k.p256)))
	return k
})

// withKeys gives settings with a secret, an algorithm and its keys.
func withKeys(algorithm string, signing KeySource, verifying ...KeySource) Config {
	c := Default()
	c.Secret, c.JWTAlgorithm, c.JWTSigningKey, c.JWTVerifyingKeys = goodSecret, algorithm, signing, verifying
	return c
}

func TestLoadKeys_TakesEveryFormOfAFittingKey(t *testing.T) {
	t.Parallel()
	k := testKeys()
	parameters := pemText("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for _, tt := range []struct {
		name, algorithm, signing string
		verifying                []KeySource
		want                     []crypto.Signer // the first signs
	}{
		{"RSA", "RS256", privatePEM(k.rsa), nil, []crypto.Signer{k.rsa}},
		{"RSA in PKCS#1", "RS256", k.pkcs1, nil, []crypto.Signer{k.rsa}},
		{"P-256", "ES256", privatePEM(k.p256), nil, []crypto.Signer{k.p256}},
		{"P-256 in SEC1", "ES256", k.sec1, nil, []crypto.Signer{k.p256}},
		{"P-256 as openssl ecparam writes it", "ES256", parameters + k.sec1, nil, []crypto.Signer{k.p256}},
		{"Ed25519", "EdDSA", privatePEM(k.ed), nil, []crypto.Signer{k.ed}},
		{"retired ones, public and private", "ES256", privatePEM(k.p256) + publicPEM(k.other) + privatePEM(k.other), nil, []crypto.Signer{k.p256, k.other, k.other}},
		{"text around", "ES256", "Bag Attributes\n" + privatePEM(k.p256) + "\nretired:\n" + publicPEM(k.other), nil, []crypto.Signer{k.p256, k.other}},
		{"further public ones", "ES256", privatePEM(k.p256), []KeySource{KeySource(publicPEM(k.other)), KeySource(publicPEM(k.p256) + publicPEM(k.other))},
			[]crypto.Signer{k.p256, k.other, k.p256, k.other}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "key.pem")
			writeSecret(t, file, tt.signing, 0o600)
			sources := []KeySource{KeySource(file)}
			if strings.HasPrefix(tt.signing, pemStart) {
				sources = append(sources, KeySource("\n "+tt.signing))
			}
			for _, source := range sources {
				c := withKeys(tt.algorithm, source, tt.verifying...)
				keys, err := c.LoadKeys()
				if err != nil {
					t.Fatal(err)
				}
				got := []crypto.PublicKey{keys.Signing.Public()}
				for _, v := range keys.Verifying {
					got = append(got, v.Key)
				}
				for i, want := range tt.want {
					if len(got) != len(tt.want) || !want.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(got[i]) {
						t.Fatalf("%d keys, want %d; or key %d is another", len(got), len(tt.want), i+1)
					}
				}
			}
		})
	}
}

func TestLoadKeys_SaysWhatIsWrongAndNothingOfTheKey(t *testing.T) {
	t.Parallel()
	k := testKeys()
	good := privatePEM(k.p256)
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	lines := strings.SplitAfter(good, "\n")
	legacy := strings.Replace(k.sec1, "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n", 1)
	for _, tt := range []struct{ name, algorithm, signing, complaint string }{
		{"empty", "ES256", "", "it has no key in PEM"},
		{"no PEM", "ES256", "hello\n", "it has no key in PEM"},
		{"cut off", "ES256", good[:len(good)-30], "damaged or cut off"},
		{"a letter that is none of base64", "ES256", strings.Replace(good, lines[1][:10], "!!!!!!!!!!", 1), "damaged or cut off"},
		{"a line lost", "ES256", lines[0] + lines[2] + lines[3] + lines[4], "block 1 (PRIVATE KEY): "},
		{"a retired key cut off", "ES256", good + publicPEM(k.other)[:80], "damaged or cut off"},
		{"encrypted", "ES256", k.encrypted, "it is encrypted"},
		{"encrypted in the old way", "ES256", legacy, "it is encrypted"},
		{"certificate", "ES256", pemText("CERTIFICATE", []byte{1}), "block 1 (CERTIFICATE): it is not a key that is understood"},
		{"of OpenSSH", "EdDSA", pemText("OPENSSH PRIVATE KEY", []byte{1}), "it is not a key that is understood"},
		{"public alone", "ES256", publicPEM(k.p256), "the first key is a public one"},
		{"public first", "ES256", publicPEM(k.p256) + good, "the first key is a public one"},
		{"for key agreement", "EdDSA", privatePEM(x25519), "it is not a key that signs"},
		{"short RSA", "RS256", privatePEM(k.short), "it has 2047 bits; RS256 needs at least 2048"},
		{"short RSA, retired", "RS256", privatePEM(k.rsa) + publicPEM(k.short), "block 2 (PUBLIC KEY): it has 2047 bits"},
		{"RSA for ES256", "ES256", privatePEM(k.rsa), "it is an RSA key; ES256 needs a key on the curve P-256"},
		{"P-384 for ES256", "ES256", privatePEM(k.p384), "it is a key on the curve P-384; ES256 needs a key on the curve P-256"},
		{"P-256 for RS256", "RS256", good, "it is a key on the curve P-256; RS256 needs an RSA key"},
		{"P-256 for EdDSA", "EdDSA", good, "it is a key on the curve P-256; EdDSA needs an Ed25519 key"},
		{"Ed25519 for ES256", "ES256", privatePEM(k.ed), "it is an Ed25519 key; ES256 needs"},
		{"Ed25519 retired for ES256", "ES256", good + publicPEM(k.ed), "block 2 (PUBLIC KEY): it is an Ed25519 key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "key.pem")
			writeSecret(t, file, tt.signing, 0o600)
			c := withKeys(tt.algorithm, KeySource(file))
			wantComplaint(t, &c, "jwt-signing-key: "+file+": ", tt.complaint, tt.signing)
			if strings.HasPrefix(tt.signing, pemStart) {
				c.JWTSigningKey = KeySource(tt.signing)
				wantComplaint(t, &c, "jwt-signing-key: ", tt.complaint, tt.signing)
			}
		})
	}
}

// wantComplaint checks an error of LoadKeys, which quotes no line of a key.
func wantComplaint(t *testing.T, c *Config, prefix, complaint, text string) {
	t.Helper()
	_, err := c.LoadKeys()
	if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), complaint) {
		t.Fatalf("got %v, want %s...%s", err, prefix, complaint)
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= 20 && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
			t.Errorf("the complaint quotes the key: %v", err)
		}
	}
}

func TestCheck_KeyWithoutItsFirstLineIsNotTakenForAFile(t *testing.T) {
	t.Parallel()
	k := testKeys()
	for name, text := range map[string]string{
		"RSA": privatePEM(k.rsa), "RSA in PKCS#1": k.pkcs1, "P-256": privatePEM(k.p256), "P-256 in SEC1": k.sec1, "Ed25519": privatePEM(k.ed),
	} {
		_, body, _ := strings.Cut(text, "\n")
		body, _, _ = strings.Cut(body, "-----END")
		for _, bare := range []string{body, strings.ReplaceAll(body, "\n", ""), base64.StdEncoding.EncodeToString([]byte(text))} {
			c := withKeys("ES256", KeySource(bare), KeySource(bare))
			err := c.Check()
			if err == nil || strings.Count(err.Error(), "neither a file nor PEM") != 2 || strings.Contains(err.Error(), bare[:20]) || c.JWTSigningKey.String() != masked {
				t.Errorf("%s: %v, %s", name, err, c.JWTSigningKey)
			}
		}
	}
	c := withKeys("ES256", KeySource("My/folder/of/keys/"+strings.Repeat("k", 80)+".pem"), "/run/secrets/"+KeySource(strings.Repeat("M", 80)))
	if err := c.Check(); err != nil || c.JWTSigningKey.String() == masked {
		t.Errorf("a file's name: %v", err)
	}
}

func TestLoadKeys_AllComplaintsAtOnce(t *testing.T) {
	t.Parallel()
	k, dir := testKeys(), t.TempDir()
	signing, private, short := filepath.Join(dir, "signing"), filepath.Join(dir, "private"), filepath.Join(dir, "secret")
	writeSecret(t, signing, privatePEM(k.p256), 0o640)
	writeSecret(t, private, privatePEM(k.other), 0o644)
	writeSecret(t, short, "short\n", 0o600)
	c := withKeys("ES256", KeySource(signing), KeySource(dir+"/missing"), KeySource(private))
	c.Secret, c.SecretFile = "", short
	_, err := c.LoadKeys()
	if err == nil {
		t.Fatal("no complaint")
	}
	want := []string{
		"secret-file: " + short + ": it has 5 bytes",
		"jwt-signing-key: others can read " + signing + " (mode 0640); run: chmod 600 " + signing,
		"jwt-verifying-keys: open " + dir + "/missing: no such file or directory",
		"jwt-verifying-keys: " + private + ": it holds a private key",
	}
	got := strings.Split(err.Error(), "\n")
	for i := range want {
		if len(got) != len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("got %q, want them to begin %q", got, want)
		}
	}
}

func TestLoadKeys_PublicFileMayBeReadByAll(t *testing.T) {
	t.Parallel()
	k, file := testKeys(), filepath.Join(t.TempDir(), "public.pem")
	writeSecret(t, file, publicPEM(k.other), 0o644)
	c := withKeys("ES256", KeySource(privatePEM(k.p256)), KeySource(file))
	if keys, err := c.LoadKeys(); err != nil || len(keys.Verifying) != 1 || keys.Verifying[0].From != file {
		t.Errorf("got %+v, %v", keys.Verifying, err)
	}
}

func TestLoadKeys_SecretFileMayHoldRetiredSecrets(t *testing.T) {
	t.Parallel()
	second := strings.ToUpper(goodSecret) + "xyz"
	for _, tt := range []struct {
		content, complaint string
		want               []string
	}{
		{goodSecret, "", []string{goodSecret}},
		{goodSecret + "\n" + second + "\n", "", []string{goodSecret, second}},
		{"\n" + goodSecret + "\r\n\n  " + second + "  ", "", []string{goodSecret, second}},
		{goodSecret + "\nshort\n", "line 2: it has 5 bytes", nil},
		{"changeme" + goodSecret + "\n" + second, "line 1: it contains", nil},
	} {
		c, file := besideDatabase(t)
		writeSecret(t, file, tt.content, 0o600)
		keys, err := c.LoadKeys()
		if tt.complaint != "" {
			if err == nil || !strings.HasPrefix(err.Error(), "secret-file: "+file+": "+tt.complaint) {
				t.Errorf("%q: %v", tt.content, err)
			}
			continue
		}
		first, _, _, loadErr := c.LoadSecret()
		if err != nil || loadErr != nil || string(first) != tt.want[0] || string(bytes.Join(keys.Secrets, []byte("|"))) != strings.Join(tt.want, "|") {
			t.Errorf("%q: %q, %q, %v, %v", tt.content, keys.Secrets, first, err, loadErr)
		}
	}
}

func TestKeyLoader_ReadsAgainOnlyWhatHasChanged(t *testing.T) {
	t.Parallel()
	k, dir := testKeys(), t.TempDir()
	key, public := filepath.Join(dir, "key"), filepath.Join(dir, "public")
	writeSecret(t, key, privatePEM(k.p256), 0o600)
	writeSecret(t, public, publicPEM(k.other), 0o644)
	c := withKeys("ES256", KeySource(key), KeySource(public))
	l := c.KeyLoader()
	expect := func(what string, wantChanged, wantErr bool) Keys {
		t.Helper()
		keys, changed, err := l.Load()
		if changed != wantChanged || (err != nil) != wantErr {
			t.Fatalf("%s: changed %v, %v", what, changed, err)
		}
		return keys
	}
	if keys := expect("at first", true, false); len(keys.Verifying) != 1 || len(keys.Secrets) != 1 {
		t.Fatalf("got %+v", keys)
	}
	expect("unchanged", false, false)
	if _, err := c.RotateSigningKey(2); err != nil {
		t.Fatal(err)
	}
	if keys := expect("rotated", true, false); len(keys.Verifying) != 2 {
		t.Fatalf("got %+v", keys)
	}
	expect("unchanged since", false, false)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	expect("others can read it", true, true)
	expect("others still can", false, true)
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("put right", true, false)
	if err := os.Remove(public); err != nil {
		t.Fatal(err)
	}
	expect("gone", true, true)
	expect("still gone", false, true)
	writeSecret(t, public, publicPEM(k.other)+publicPEM(k.p256), 0o644)
	if keys := expect("back", true, false); len(keys.Verifying) != 3 {
		t.Fatalf("got %+v", keys)
	}
}

func TestRotate_NewKeySignsFormerOnesVerifyAndLoseTheirPrivatePart(t *testing.T) {
	t.Parallel()
	k := testKeys()
	for algorithm, first := range map[string]crypto.Signer{"RS256": k.rsa, "ES256": k.p256, "EdDSA": k.ed} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "key.pem")
			writeSecret(t, file, privatePEM(first)+publicPEM(first), 0o400)
			c := withKeys(algorithm, KeySource(file))
			signed := []crypto.PublicKey{first.Public()} // newest first
			for _, step := range []struct{ keep, kept int }{{2, 1}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {5, 1}} {
				r, err := c.RotateSigningKey(step.keep)
				if err != nil || r.Kept != step.kept || r.File != file {
					t.Fatalf("keep %d: %+v, %v", step.keep, r, err)
				}
				keys := must(c.LoadKeys())
				signed = append([]crypto.PublicKey{r.Public}, signed...)
				got := []crypto.PublicKey{keys.Signing.Public()}
				for _, v := range keys.Verifying {
					got = append(got, v.Key)
				}
				for i := range step.kept + 1 {
					if len(got) != step.kept+1 || !signed[i].(interface{ Equal(crypto.PublicKey) bool }).Equal(got[i]) {
						t.Fatalf("keep %d: %d keys, or key %d is another", step.keep, len(got), i+1)
					}
				}
				text := string(must(os.ReadFile(file)))
				if info := must(os.Stat(file)); strings.Count(text, "PRIVATE KEY") != 2 || info.Mode() != 0o600 {
					t.Fatalf("mode %v, %d lines of private keys", info.Mode(), strings.Count(text, "PRIVATE KEY"))
				}
			}
			if left := must(os.ReadDir(filepath.Dir(file))); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestRotate_SecretFile(t *testing.T) {
	t.Parallel()
	c, file := besideDatabase(t)
	if _, err := c.RotateSecret(2); err == nil || !strings.HasPrefix(err.Error(), "secret-file: ") {
		t.Fatalf("without a file: %v", err)
	}
	writeSecret(t, file, goodSecret, 0o600)
	if r, err := c.RotateSecret(1); err != nil || r.Kept != 1 || r.Public != nil || r.File != file {
		t.Fatalf("%+v, %v", r, err)
	}
	keys := must(c.LoadKeys())
	if len(keys.Secrets) != 2 || string(keys.Secrets[1]) != goodSecret || CheckSecret(keys.Secrets[0]) != nil {
		t.Fatalf("got %q", keys.Secrets)
	}
	if r, err := c.RotateSecret(0); err != nil || r.Kept != 0 || len(must(c.LoadKeys()).Secrets) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestRotate_OfTwoAtOnceNoneIsLost(t *testing.T) {
	t.Parallel()
	c, file := besideDatabase(t)
	writeSecret(t, file, goodSecret, 0o600)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.RotateSecret(100); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if keys := must(c.LoadKeys()); len(keys.Secrets) != 9 {
		t.Errorf("%d secrets, want 9", len(keys.Secrets))
	}
}

func TestRotate_RefusesWhatIsNoFileAndChangesNothingThatIsBroken(t *testing.T) {
	t.Parallel()
	k, dir := testKeys(), t.TempDir()
	c := withKeys("ES256", KeySource(privatePEM(k.p256)))
	if _, err := c.RotateSigningKey(2); err == nil || !strings.HasPrefix(err.Error(), "jwt-signing-key: the setting holds the key itself") {
		t.Errorf("of a text: %v", err)
	}
	if _, err := c.RotateSecret(2); err == nil || !strings.HasPrefix(err.Error(), "secret: the setting holds the secret itself") {
		t.Errorf("of a secret: %v", err)
	}
	file := filepath.Join(dir, "key.pem")
	for content, mode := range map[string]os.FileMode{privatePEM(k.p256): 0o644, privatePEM(k.rsa): 0o600, publicPEM(k.p256): 0o600, "": 0o600} {
		_ = os.Remove(file)
		writeSecret(t, file, content, mode)
		c := withKeys("ES256", KeySource(file))
		if _, err := c.RotateSigningKey(2); err == nil || string(must(os.ReadFile(file))) != content {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestRotate_LinkStaysALink(t *testing.T) {
	t.Parallel()
	k, dir := testKeys(), t.TempDir()
	real, link := filepath.Join(t.TempDir(), "key.pem"), filepath.Join(dir, "link.pem")
	writeSecret(t, real, privatePEM(k.p256), 0o600)
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	c := withKeys("ES256", KeySource(link))
	if _, err := c.RotateSigningKey(2); err != nil {
		t.Fatal(err)
	}
	if target := must(os.Readlink(link)); target != real || strings.Count(string(must(os.ReadFile(real))), "BEGIN") != 2 {
		t.Errorf("the link leads to %s", target)
	}
}
