package tests

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// faults collects what goes wrong in a tab, each a sentence that begins with
//
//	console: what a script writes as an error
//	exception: what no script catches
//	dialog: what a script asks or tells in a window of its own, as alert does
//	log: what the browser itself complains of
//	policy: what the Content-Security-Policy stopped
//	foreign: what is asked of another host than the server
//	answer: a status from 400 on, as in "answer: 401 to POST http://..."
//	lost: a request that is not answered
type faults struct {
	own string // the beginning of the server's URLs

	mu       sync.Mutex
	found    []string
	requests map[network.RequestID]string
	expected []string
}

func newFaults(base string) *faults {
	return &faults{own: origin(base) + "/", requests: map[network.RequestID]string{}}
}

func origin(base string) string {
	scheme, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// note is called for each event of the tab, one after the other.
func (f *faults) note(event any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			f.add("console: %s", consoleText(e.Args))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		f.add("exception: %s", text)
	case *cdppage.EventJavascriptDialogOpening:
		f.add("dialog: %s", e.Message)
	case *log.EventEntryAdded:
		// What is lost or answered badly is told of by the network's own events.
		if e.Entry.Source != log.EntrySourceNetwork && (e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity) {
			f.add("log: %s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			d := e.Issue.Details.ContentSecurityPolicyIssueDetails
			f.add("policy: %s of %s (%s)", d.ContentSecurityPolicyViolationType, d.ViolatedDirective, d.BlockedURL)
		}
	default:
		f.noteNetwork(event)
	}
}

func (f *faults) noteNetwork(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		f.requests[e.RequestID] = e.Request.Method + " " + e.Request.URL
		if !strings.HasPrefix(e.Request.URL, f.own) && !strings.HasPrefix(e.Request.URL, "data:") {
			f.add("foreign: %s %s", e.Request.Method, e.Request.URL)
		}
	case *network.EventWebSocketCreated:
		f.add("foreign: %s", e.URL) // we have none
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			f.add("answer: %d to %s", e.Response.Status, f.requests[e.RequestID])
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			f.add("lost: %s: %s %s", f.requests[e.RequestID], e.ErrorText, e.BlockedReason)
		}
	}
}

func (f *faults) add(format string, args ...any) {
	f.found = append(f.found, fmt.Sprintf(format, args...))
}

// all gives everything that went wrong so far.
func (f *faults) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.found)
}

func consoleText(args []*runtime.RemoteObject) string {
	var parts []string
	for _, a := range args {
		if a.Description != "" {
			parts = append(parts, a.Description)
		} else {
			parts = append(parts, string(a.Value))
		}
	}
	return strings.Join(parts, " ")
}

// expect says that the test makes something go wrong on purpose: every fault that
// begins with this is let pass, and there has to be one of each. Of answers, what
// is below the public URL is enough, as in "answer: 401 to POST /auth/login".
func (p *page) expect(faults ...string) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.expected = append(p.faults.expected, faults...)
}

// unexpected gives the faults that the test did not expect, and the expected
// ones that did not come.
func (p *page) unexpected() (list []string) {
	p.t.Helper()
	var there bool // all that happened before this is answered has been told
	evaluated(p, "frame().then(() => true)", &there)
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	missing := slices.Clone(p.faults.expected)
	for _, fault := range p.faults.found {
		known := false
		for _, expected := range p.faults.expected {
			if strings.HasPrefix(fault, expected) || strings.HasPrefix(strings.Replace(fault, p.base, "", 1), expected) {
				known, missing = true, slices.DeleteFunc(missing, func(m string) bool { return m == expected })
			}
		}
		if !known {
			list = append(list, fault)
		}
	}
	for _, m := range missing {
		list = append(list, "expected, and not seen: "+m)
	}
	return list
}
