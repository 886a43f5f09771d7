package tests

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"dueto/config"
)

// errNoChromium says that there is no browser on this machine.
var errNoChromium = errors.New("Chromium is missing: on Debian, apt-get install chromium fonts-dejavu-core") //nolint:staticcheck // its name

// chromiums are what the program is called on one system or another.
var chromiums = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// chromium is the one browser of all tests, and chromiumAsked whether any wanted it.
var (
	chromiumAsked bool
	chromium      = sync.OnceValues(func() (context.Context, error) {
		chromiumAsked = true
		return startChromium()
	})
)

func startChromium() (context.Context, error) {
	at := slices.IndexFunc(chromiums, func(name string) bool { _, err := exec.LookPath(name); return err == nil })
	if at < 0 {
		return nil, errNoChromium
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromiums[at]), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), // it asks nobody for anything
		chromedp.Flag("hide-scrollbars", true), chromedp.WindowSize(1280, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which Chromium refuses to root
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	return ctx, chromedp.Do(ctx)
}

// stopChromium ends the browser, if there is one.
func stopChromium() error {
	if !chromiumAsked {
		return nil
	}
	ctx, err := chromium()
	if err != nil {
		return nil // the tests have said so
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return chromedp.Cancel(ctx)
}

// newBrowserApp starts a server whose public URL is where it really is, below a
// prefix or none: pages lead there.
func newBrowserApp(t testing.TB, prefix string, change ...func(*config.Config)) *app {
	t.Helper()
	return newApp(t, append([]func(*config.Config){func(c *config.Config) { c.PublicURL = "http://" + c.Addr + prefix }}, change...)...)
}

// page is a tab of Chromium with cookies of its own, for one test. All that goes
// wrong in it and was not expected fails the test: see faults.
type page struct {
	t   testing.TB
	ctx context.Context
	// base is what the paths that a test visits are below; what is asked of any
	// other host is a fault.
	base   string
	faults *faults
}

// page opens a tab for the server's pages.
func (a *app) page() *page {
	a.t.Helper()
	return newPage(a.t, a.Config.PublicURL)
}

// newPage opens a tab for the pages below a URL. Where there is no Chromium, the
// test is skipped, except on CI.
func newPage(t testing.TB, base string) *page {
	t.Helper()
	parent, err := chromium()
	if errors.Is(err, errNoChromium) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, base: base, faults: newFaults(base)}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.note))
	p.ctx = ctx
	t.Cleanup(func() {
		if !t.Skipped() && ctx.Err() == nil {
			for _, fault := range p.unexpected() {
				t.Error(fault)
			}
		}
		cancel()
		_ = chromedp.Cancel(ctx)
	})
	p.must("open a tab", chromedp.Do(ctx))
	call(p, audits.Enable, cdp.Empty{})
	call(p, network.Enable, network.EnableParams{})
	// What moves has no colour and no place that could be checked.
	call(p, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `{
		const still = new CSSStyleSheet();
		still.replaceSync("*, *::before, *::after { animation: none !important; transition: none !important; scroll-behavior: auto !important }");
		document.adoptedStyleSheets.push(still);
	}`})
	p.size(1280, 900)
	return p
}

// note tells the faults of an event of the tab, and closes dialogs, which would
// hold up the page for ever.
func (p *page) note(event any) {
	p.faults.note(event)
	if _, ok := event.(*cdppage.EventJavascriptDialogOpening); ok {
		go func() { // the answer to it comes by way of the events
			_, _ = chromedp.Call(p.ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{})
		}()
	}
}

// must fails the test where the browser cannot do a thing.
func (p *page) must(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// do has the browser do something, within bounds.
func (p *page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.must(what, chromedp.Do(ctx, steps...))
}

// call sends a command of the browser's protocol.
func call[P, R any](p *page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	p.must(string(command.Method), err)
	return result
}

// npmFile reads a file of what make takes from npm. Where it is not there, the
// test is skipped, except on CI.
func npmFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("npm", "node_modules", filepath.FromSlash(path)))
	switch {
	case err == nil:
		return string(content)
	case os.Getenv("CI") == "":
		t.Skipf("%s is missing: run make tests/npm/node_modules", strings.SplitN(path, "/", 2)[0])
	}
	t.Fatal(err)
	return ""
}
