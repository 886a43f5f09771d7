package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"path"
	"strings"
)

//go:embed style.css browse.js icon.svg
var files embed.FS

// assetTypes are the types of the files that pages have, by their extension.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset is a file of a page.
type asset struct {
	body              []byte
	contentType, hash string
}

// Assets are the files that pages are made of besides themselves. Each has its
// content's hash in its name, so that browsers may keep it for good.
type Assets struct {
	byName map[string]asset
	names  map[string]string // of the file to the one that it is served under
}

// NewAssets reads the files.
func NewAssets() *Assets {
	a := &Assets{byName: map[string]asset{}, names: map[string]string{}}
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, entry := range entries {
		file := entry.Name()
		body, err := files.ReadFile(file)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		hash, extension := hex.EncodeToString(sum[:8]), path.Ext(file)
		name := strings.TrimSuffix(file, extension) + "-" + hash + extension
		a.byName[name] = asset{body: body, contentType: assetTypes[extension], hash: hash}
		a.names[file] = name
	}
	return a
}

// Read gives a file, its type and its version, or no type where there is none
// of that name.
func (a *Assets) Read(name string) (body []byte, contentType, version string) {
	found := a.byName[name]
	return found.body, found.contentType, found.hash
}
