package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"dueto/models"
)

// meterEvery is how often a line tells of progress where there is no terminal.
const meterEvery = 10 * time.Second

// moveMeter shows how far a move is: as a bar on a terminal, else as a line now
// and then.
type moveMeter struct {
	out      io.Writer
	terminal bool
	quiet    bool

	begun bool // whether the target is marked: the next move goes on from there
	bar   *progressbar.ProgressBar
	since time.Time // when the step began
	told  time.Time
	from  int64 // rows that were done when the step began
}

func newMoveMeter(out io.Writer, quiet bool) *moveMeter {
	file, ok := out.(*os.File)
	return &moveMeter{out: out, quiet: quiet, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

// report takes what a move tells.
func (m *moveMeter) report(p models.MoveProgress) {
	m.begun = true
	switch {
	case m.quiet:
	case p.Table == "":
		m.begin(p)
	case m.bar != nil:
		_ = m.bar.Set64(p.Done - m.from)
	case !m.terminal && time.Since(m.told) >= meterEvery:
		m.line(p)
	}
}

func (m *moveMeter) begin(p models.MoveProgress) {
	m.end()
	m.since, m.told, m.from = time.Now(), time.Now(), p.Done
	if p.Step == models.MoveCopying && p.Done > 0 {
		fmt.Fprintf(m.out, "Going on with a move that has copied %d of %d rows.\n", p.Done, p.Total)
	}
	if !m.terminal || p.Total <= p.Done {
		return
	}
	m.bar = progressbar.NewOptions64(p.Total-p.Done,
		progressbar.OptionSetWriter(m.out),
		progressbar.OptionSetDescription(fmt.Sprintf("%-9s", capital(p.Step))),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("rows"),
		progressbar.OptionThrottle(100*time.Millisecond),
	)
	m.bar.StartWithoutRender() // the rate counts from now
}

// end leaves the last bar where it is.
func (m *moveMeter) end() {
	if m.bar != nil {
		fmt.Fprintln(m.out)
		m.bar = nil
	}
}

func (m *moveMeter) line(p models.MoveProgress) {
	m.told = time.Now()
	rate := float64(p.Done-m.from) / m.told.Sub(m.since).Seconds()
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(p.Total-p.Done)/rate) * time.Second).String()
	}
	fmt.Fprintf(m.out, "%s %s: %d of %d rows, %.0f rows/s, %s left\n", capital(p.Step), p.Table, p.Done, p.Total, rate, left)
}

func capital(step models.MoveStep) string {
	return strings.ToUpper(string(step[:1])) + string(step[1:])
}
