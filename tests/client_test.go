package tests

import (
	"os"
	"os/exec"
	"testing"
)

// TestSQLite_AGeneratedClientTakesTheTour makes a client of the document by a
// generator that is not ours, and has it do what the README does. The generator
// and what the client needs are the module in client/, apart from the product's.
func TestSQLite_AGeneratedClientTakesTheTour(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("client")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/api", 0o700); err != nil {
		t.Fatal(err)
	}
	s := startBinary(t)
	document := s.app().do("GET", "/openapi.json", nil).want(200).Body
	if err := os.WriteFile(dir+"/openapi.json", document, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"tool", "oapi-codegen", "-config", "oapi-codegen.yaml", "openapi.json"},
		{"vet", "-trimpath", "./..."},
		{"run", "-trimpath", ".", s.proxy()},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		// Without what this run of go test set for its own build.
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
}
