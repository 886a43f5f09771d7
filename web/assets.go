package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/swaggest/swgui/v5/static"
)

//go:embed style.css browse.js icon.svg docs.css docs.js
var files embed.FS

// The files of Swagger UI that the page of the document loads.
const docsUIScript, docsUIStyle = "swagger-ui-bundle.js", "swagger-ui.css"

// assetTypes are the types of the files that pages have, by their extension.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset is a file of a page.
type asset struct {
	mediaType, version string
	packed             []byte // with gzip; nil for one that is kept as it is
	plain              func() []byte
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
		body, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		a.add(entry.Name(), asset{version: versionOf(body), plain: func() []byte { return body }})
	}
	for _, file := range []string{docsUIScript, docsUIStyle} {
		packed, err := static.FS.ReadFile(file + ".gz")
		if err != nil {
			panic(err)
		}
		// Hardly a client cannot unpack it: it is done when the first of those asks.
		a.add(file, asset{version: versionOf(packed), packed: packed, plain: sync.OnceValue(func() []byte { return unpack(packed) })})
	}
	return a
}

func (a *Assets) add(file string, made asset) {
	extension := path.Ext(file)
	made.mediaType = assetTypes[extension]
	a.names[file] = strings.TrimSuffix(file, extension) + "-" + made.version + extension
	a.byName[a.names[file]] = made
}

// Read gives a file, its type and its version, or no type where there is none
// of that name. It is packed with gzip where it is kept so and that is taken.
func (a *Assets) Read(name string, gzip bool) (body []byte, mediaType, version string, packed bool) {
	found, ok := a.byName[name]
	switch {
	case !ok:
		return nil, "", "", false
	case gzip && found.packed != nil:
		return found.packed, found.mediaType, found.version + "-gzip", true
	}
	return found.plain(), found.mediaType, found.version, false
}

func unpack(packed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err) // it is part of the program
	}
	body, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return body
}

func versionOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}
