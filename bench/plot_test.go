package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// texts reads a plot as XML and gives what is written in it.
func texts(t *testing.T, svg string) (list []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	inside := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local
			if !slices.Contains([]string{"svg", "title", "style", "text", "rect", "line"}, inside) {
				t.Errorf("there is an element %s", inside)
			}
		case xml.CharData:
			if inside == "text" && len(strings.TrimSpace(string(token))) > 0 {
				list = append(list, string(token))
			}
		}
	}
}

func TestBars_ShowTheirValues(t *testing.T) {
	t.Parallel()
	svg := bars{
		title: "Rates", note: "a < b & c", series: []series{{"few", "dueto0"}, {"many", "dueto1"}},
		rows: []barRow{{"read", 0.8, []float64{0.814, 0.5}}, {"write \"durably\"", 3, []float64{2.25, math.NaN()}}},
	}.svg()
	got := texts(t, svg)
	for _, want := range []string{"Rates", "a < b & c", "few", "many", "read", `write "durably"`, "0.81", "0.50", "2.25", "aim 0.8", "aim 3"} {
		if !slices.Contains(got, want) {
			t.Errorf("no text %q in %q", want, got)
		}
	}
	if strings.Contains(svg, "NaN") {
		t.Error("a value that is none is drawn")
	}
	if n := strings.Count(svg, `class="aim"`); n != 2 {
		t.Errorf("there are %d lines of aims", n)
	}
}

func TestSpans_ShowTheirValues(t *testing.T) {
	t.Parallel()
	svg := spans{
		title: "Latency", series: []series{{"floor", "floor0"}, {"dueto", "dueto0"}},
		rows: []spanRow{{"read", []span{{0.5, 1.25}, {0.04, 120}}}, {"refresh", []span{{}, {1, 1}}}},
	}.svg()
	got := texts(t, svg)
	for _, want := range []string{"read", "refresh", "0.50 / 1.25", "0.04 / 120.00", "1.00 / 1.00", "0.01", "1000"} {
		if !slices.Contains(got, want) {
			t.Errorf("no text %q in %q", want, got)
		}
	}
	if slices.Contains(got, "0.00 / 0.00") {
		t.Error("what was not measured is drawn")
	}
}

func TestPlots_HaveBothModesAndNoScript(t *testing.T) {
	t.Parallel()
	plots := madeUp(nil).plots()
	for _, name := range []string{"ratios.svg", "latency.svg"} {
		svg := plots[name]
		got := texts(t, svg)
		if !strings.Contains(svg, "prefers-color-scheme:dark") || strings.Contains(svg, "<script") {
			t.Errorf("%s has one mode, or a script", name)
		}
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "1,000,000 tasks") }) {
			t.Errorf("%s does not say for how many tasks: %q", name, got)
		}
	}
	if got := texts(t, plots["ratios.svg"]); !slices.Contains(got, "create, durable / floor-grouped") || !slices.Contains(got, "3.00") {
		t.Errorf("the ratios are %q", got)
	}
}
