package tests

import (
	"fmt"
	"slices"
	"strings"
)

// axeFinding is a rule of accessibility that a page breaks.
type axeFinding struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Failure string `json:"failureSummary"`
	} `json:"nodes"`
}

func (f axeFinding) String() string {
	text := fmt.Sprintf("%s (%s): %s, %d times", f.ID, f.Impact, f.Help, len(f.Nodes))
	for _, n := range f.Nodes[:min(3, len(f.Nodes))] {
		text += fmt.Sprintf("\n  %.300s\n    %s", n.HTML, strings.ReplaceAll(n.Failure, "\n", "\n    "))
	}
	return text
}

// axe checks by axe-core, in light and in dark, that nothing on the page keeps
// people from using it: no finding is serious or critical. What the selectors
// exclude is not looked at.
func (p *page) axe(exclude ...string) {
	p.t.Helper()
	for _, f := range p.axeIn(map[string]any{"include": []string{"html"}, "exclude": exclude}) {
		p.t.Errorf("%s: %s", p.path(), f)
	}
}

// axeWithin checks one part of the page, of which some rules are known to be
// broken.
func (p *page) axeWithin(part string, known ...string) {
	p.t.Helper()
	for _, f := range p.axeIn(map[string]any{"include": []string{part}}) {
		if !slices.Contains(known, f.ID) {
			p.t.Errorf("%s in %s: %s", p.path(), part, f)
		}
	}
}

// axeIn gives the findings that matter of a part of the page, and leaves it in
// light.
func (p *page) axeIn(part map[string]any) (findings []axeFinding) {
	p.t.Helper()
	script := npmFile(p.t, "axe-core/axe.min.js")
	for _, dark := range []bool{true, false} {
		p.dark(dark)
		evaluate[bool](p, "window.axe ? true : (() => {"+script+"; return true })()")
		for _, f := range evaluate[[]axeFinding](p, "axe.run("+js(part)+`, { resultTypes: ["violations"], preload: false }).then(r => r.violations)`) {
			if f.Impact == "serious" || f.Impact == "critical" {
				f.Help += map[bool]string{true: ", in dark", false: ", in light"}[dark]
				findings = append(findings, f)
			}
		}
	}
	return findings
}
