package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"dueto/config"
)

func TestReadme_SettingsAreThoseOfTheCode(t *testing.T) {
	wantBlock(t, "README.md", "settings", config.Markdown())
}

func TestReadme_FoldersOfTheHouseExist(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^([a-z]+/|main\.go) +`).FindAllStringSubmatch(readDocument(t, "README.md"), -1)
	if len(listed) < 10 {
		t.Fatalf("the README lists %d rooms", len(listed))
	}
	for _, room := range listed {
		if _, err := os.Stat(filepath.Join("..", room[1])); err != nil {
			t.Error(err)
		}
	}
}
