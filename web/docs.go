package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the files of the page
	"encoding/hex"
	"html/template"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/swaggest/swgui/v5/static"
)

var (
	//go:embed docs.js
	docsScript []byte
	//go:embed docs.css
	docsStyle []byte
)

// docsPolicy lets the page load and call what is ours, and nothing else. Swagger
// UI needs no more: its styles are set by script, and where its style sheet has
// images of its own, ours overrides it.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// docsFile is a file that the page loads.
type docsFile struct {
	name, mediaType string
	packed          []byte // with gzip; nil for one that is kept as it is
	plain           func() []byte
	version         string
}

// Docs is the page on which the API is read and tried: Swagger UI on a page of
// our own, and the files that it loads.
type Docs struct {
	page    []byte
	version string
	files   map[string]docsFile // by the names under which they are asked for
}

// NewDocs renders the page of an API whose paths begin with base, "" for none.
func NewDocs(base string) *Docs {
	const script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
	d := &Docs{files: map[string]docsFile{}}
	served := map[string]string{}
	for _, f := range []docsFile{
		ownFile("docs.js", script, docsScript),
		ownFile("docs.css", style, docsStyle),
		packedFile("swagger-ui-bundle.js", script),
		packedFile("swagger-ui.css", style),
	} {
		extension := path.Ext(f.name)
		served[f.name] = strings.TrimSuffix(f.name, extension) + "-" + f.version + extension
		d.files[served[f.name]] = f
	}
	var page bytes.Buffer
	err := template.Must(template.ParseFS(templates, "docs.html")).Execute(&page, struct {
		Base  string
		Files map[string]string
	}{base, served})
	if err != nil {
		panic(err) // a template of ours, and a buffer
	}
	d.page, d.version = page.Bytes(), versionOf(page.Bytes())
	return d
}

// Page gives the page, its Content-Security-Policy, and a version that is
// another for other bytes.
func (d *Docs) Page() (body []byte, policy, version string) { return d.page, docsPolicy, d.version }

// File gives a file that the page loads, or nil, with its type and version. It
// is packed with gzip where it is kept so and that is wanted. Its name has its
// version in it, so that whoever has it may keep it.
func (d *Docs) File(name string, gzip bool) (body []byte, mediaType, version string, packed bool) {
	f, ok := d.files[name]
	switch {
	case !ok:
		return nil, "", "", false
	case gzip && f.packed != nil:
		return f.packed, f.mediaType, f.version + "-gzip", true
	}
	return f.plain(), f.mediaType, f.version, false
}

func ownFile(name, mediaType string, body []byte) docsFile {
	return docsFile{name: name, mediaType: mediaType, plain: func() []byte { return body }, version: versionOf(body)}
}

// packedFile is one of Swagger UI. Hardly a client cannot unpack it, so that it
// is unpacked when the first of those asks.
func packedFile(name, mediaType string) docsFile {
	packed, err := static.FS.ReadFile(name + ".gz")
	if err != nil {
		panic(err) // it is part of the program
	}
	plain := sync.OnceValue(func() []byte {
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			panic(err)
		}
		return body
	})
	return docsFile{name: name, mediaType: mediaType, packed: packed, plain: plain, version: versionOf(packed)}
}

func versionOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}
