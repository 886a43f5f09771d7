package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// The measures of a plot, in pixels.
const (
	plotWidth  = 820
	labelWidth = 290
	valueWidth = 110 // right of the longest bar
	barHeight  = 13
	rowGap     = 12
	headHeight = 78
	footHeight = 34
)

// plotStyle has the colours of both modes. Series are told apart by their order:
// the floor's are grey, Dueto's blue.
const plotStyle = `text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}` +
	`.faint{fill:#59636e}.grid{stroke:#d1d9e0}.span{stroke-width:2}.aim{stroke:#bc4c00;stroke-width:2}.aimtext{fill:#bc4c00}` +
	`.dueto0{fill:#54aeff;stroke:#54aeff}.dueto1{fill:#0969da;stroke:#0969da}.floor0{fill:#9aa4af;stroke:#9aa4af}.floor1{fill:#59636e;stroke:#59636e}` +
	`@media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#3d444d}.aim{stroke:#f0883e}.aimtext{fill:#f0883e}` +
	`.dueto0{fill:#79c0ff;stroke:#79c0ff}.dueto1{fill:#2f81f7;stroke:#2f81f7}.floor0{fill:#9198a1;stroke:#9198a1}.floor1{fill:#656c76;stroke:#656c76}}`

// series is what a colour stands for.
type series struct{ name, class string }

// canvas is a plot that is being drawn.
type canvas struct {
	strings.Builder
	height int
}

func newCanvas(title, note string, legend []series, height int) *canvas {
	c := &canvas{height: height}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(c, "<title>%s</title>\n<style>%s</style>\n", escape(title), plotStyle)
	c.text(8, 20, "title", "start", title)
	c.text(8, 40, "faint", "start", note)
	x := 8
	for _, s := range legend {
		c.rect(x, 52, 12, 12, s.class)
		c.text(x+18, 62, "", "start", s.name)
		x += 40 + 7*len(s.name)
	}
	return c
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // into memory: cannot fail
	return b.String()
}

func (c *canvas) text(x, y int, class, anchor, text string) {
	fmt.Fprintf(c, `<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(text))
}

func (c *canvas) rect(x, y, width, height int, class string) {
	fmt.Fprintf(c, `<rect x="%d" y="%d" width="%d" height="%d" class="%s"/>`+"\n", x, y, width, height, class)
}

func (c *canvas) line(x1, y1, x2, y2 int, class string) {
	fmt.Fprintf(c, `<line x1="%d" y1="%d" x2="%d" y2="%d" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func (c *canvas) end() string { return c.String() + "</svg>\n" }

// grid draws an upright line for each mark of the axis.
func (c *canvas) grid(marks []float64, at func(float64) int) {
	for _, m := range marks {
		c.line(at(m), headHeight-8, at(m), c.height-footHeight+4, "grid")
		c.text(at(m), c.height-footHeight+20, "faint", "middle", fmt.Sprintf("%g", m))
	}
}

// bars compares parts: a row for each work, in it a bar for each series, and a
// line where the aim is.
type bars struct {
	title, note string
	series      []series
	rows        []barRow
}

type barRow struct {
	label  string
	aim    float64
	values []float64 // of each series; NaN where it has none
}

func (p bars) svg() string {
	most := 1.0
	for _, r := range p.rows {
		most = max(most, r.aim)
		for _, v := range r.values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
	}
	at := func(v float64) int {
		return labelWidth + int(math.Round(v/most*(plotWidth-labelWidth-valueWidth)))
	}
	step := 0.2
	for _, wider := range []float64{0.5, 1, 2, 5, 10} {
		if most/step > 8 {
			step = wider
		}
	}
	var marks []float64
	for i := 0; float64(i)*step <= most; i++ {
		marks = append(marks, math.Round(float64(i)*step*10)/10)
	}
	rowHeight := len(p.series)*barHeight + rowGap
	c := newCanvas(p.title, p.note, p.series, headHeight+len(p.rows)*rowHeight+footHeight)
	c.grid(marks, at)
	for i, r := range p.rows {
		y := headHeight + i*rowHeight
		bottom := y + len(p.series)*barHeight
		c.text(labelWidth-8, (y+bottom)/2+4, "", "end", r.label)
		for j, v := range r.values {
			if math.IsNaN(v) {
				continue
			}
			c.rect(labelWidth, y+j*barHeight, max(1, at(v)-labelWidth), barHeight-1, p.series[j].class)
			c.text(max(at(v), at(r.aim))+6, y+j*barHeight+barHeight-3, "", "start", fmt.Sprintf("%.2f", v))
		}
		c.line(at(r.aim), y-3, at(r.aim), bottom+2, "aim")
		c.text(plotWidth-8, (y+bottom)/2+4, "aimtext", "end", fmt.Sprintf("aim %g", r.aim))
	}
	return c.end()
}

// spans shows latencies: a row for each work, in it a line from p50 to p99 for
// each series, in ms, on an axis of powers of ten.
type spans struct {
	title, note string
	series      []series
	rows        []spanRow
}

type spanRow struct {
	label string
	spans []span // of each series
}

// span is nothing where both are 0.
type span struct{ p50, p99 float64 }

func (p spans) svg() string {
	low, high := 0, 1 // powers of ten
	for _, r := range p.rows {
		for _, s := range r.spans {
			if s.p50 > 0 {
				low, high = min(low, int(math.Floor(math.Log10(s.p50)))), max(high, int(math.Ceil(math.Log10(s.p99))))
			}
		}
	}
	at := func(v float64) int {
		part := (math.Log10(v) - float64(low)) / float64(high-low)
		return labelWidth + int(math.Round(part*(plotWidth-labelWidth-valueWidth)))
	}
	var marks []float64
	for power := low; power <= high; power++ {
		marks = append(marks, math.Pow10(power))
	}
	rowHeight := len(p.series)*barHeight + rowGap
	c := newCanvas(p.title, p.note, p.series, headHeight+len(p.rows)*rowHeight+footHeight)
	c.grid(marks, at)
	for i, r := range p.rows {
		y := headHeight + i*rowHeight
		c.text(labelWidth-8, y+len(p.series)*barHeight/2+4, "", "end", r.label)
		for j, s := range r.spans {
			if s.p50 <= 0 || s.p99 < s.p50 {
				continue
			}
			middle, class := y+j*barHeight+barHeight/2, p.series[j].class
			c.line(at(s.p50), middle, at(s.p99), middle, "span "+class)
			c.rect(at(s.p50)-4, middle-4, 8, 8, class)
			c.rect(at(s.p99)-1, middle-4, 3, 8, class)
			c.text(at(s.p99)+8, middle+4, "", "start", fmt.Sprintf("%.2f / %.2f", s.p50, s.p99))
		}
	}
	return c.end()
}

// plots gives the files that the results show.
func (r report) plots() map[string]string {
	ratios := bars{title: "Dueto's requests per second as a part of other servers'", note: "Medians of rounds; the line is the aim."}
	latency := spans{title: "Latency in ms, p50 (square) to p99", note: fmt.Sprintf("%d connections, each sending as soon as it is answered; floor: one commit a write.", r.Clients)}
	sizes := r.Sizes[max(0, len(r.Sizes)-2):] // there are two shades
	for i, size := range sizes {
		name := thousands(size.Tasks) + " tasks"
		ratios.series = append(ratios.series, series{name, fmt.Sprintf("dueto%d", i)})
		latency.series = append(latency.series, series{"floor, " + name, fmt.Sprintf("floor%d", i)}, series{"dueto, " + name, fmt.Sprintf("dueto%d", i)})
	}
	for _, a := range aims() {
		if !a.atLeast {
			continue
		}
		bar := barRow{label: a.work + " " + strings.TrimPrefix(a.measure, "dueto "), aim: a.bound(0)}
		for _, size := range sizes {
			value := math.NaN()
			if s, ok := spreadOf(a.figures(size)); ok {
				value = s.median
			}
			bar.values = append(bar.values, value)
		}
		ratios.rows = append(ratios.rows, bar)
	}
	for _, w := range workloads(r.Clients) {
		line := spanRow{label: w.title}
		for _, size := range sizes {
			for _, name := range []string{floor, dueto} {
				var s span
				if list := size.Works[w.name][name]; len(list) > 0 {
					s = span{p50ms(list), p99ms(list)}
				}
				line.spans = append(line.spans, s)
			}
		}
		latency.rows = append(latency.rows, line)
	}
	return map[string]string{"ratios.svg": ratios.svg(), "latency.svg": latency.svg()}
}
