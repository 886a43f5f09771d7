package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// part is something that can be measured by itself. It keeps its results, and
// gives them as text.
type part struct {
	name string
	run  func(b *bench, ctx context.Context, o options, r results) (text string, err error)
}

func (p part) called() string { return p.name }

func parts() []part {
	return []part{
		{"speed", (*bench).speed},
		alone("timing", (*stand).timing),
		alone("flood", (*stand).flood),
	}
}

// alone is a part that measures Dueto alone, on servers of its own, with the
// smallest number of tasks. What it keeps is its section.
func alone(name string, measure func(*stand, context.Context, options) (string, error)) part {
	return part{name, func(b *bench, ctx context.Context, o options, r results) (string, error) {
		s, err := b.stand(ctx, o.tasks[0])
		if err != nil {
			return "", err
		}
		defer s.close()
		section, err := measure(s, ctx, o)
		if err != nil {
			return "", err
		}
		section += b.machine.String()
		return section, r.write(name+".md", section)
	}}
}

// results is where each part's results are kept, and from which the file for
// readers is made: so one part can be measured anew while the others stay.
type results struct {
	file   string // "" keeps nothing
	folder string
}

func resultsAt(file string) results {
	return results{file, filepath.Join(filepath.Dir(file), "results")}
}

func (r results) write(name, text string) error {
	if r.file == "" {
		return nil
	}
	if err := os.MkdirAll(r.folder, 0o755); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	return os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o644) //nolint:gosec // likewise
}

// render writes the file for readers, and the plots beside it.
func (r results) render() error {
	if r.file == "" {
		return nil
	}
	var text strings.Builder
	text.WriteString("# What Dueto reaches\n\n")
	var got report
	switch kept, err := os.ReadFile(filepath.Join(r.folder, speedFile)); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(kept, &got); err != nil {
			return err
		}
		text.WriteString(got.markdown(true))
		for name, plot := range got.plots() {
			if err := os.WriteFile(filepath.Join(filepath.Dir(r.file), name), []byte(plot), 0o644); err != nil { //nolint:gosec // as above
				return err
			}
		}
	}
	for _, name := range []string{"timing", "flood"} {
		section, err := os.ReadFile(filepath.Join(r.folder, name+".md")) //nolint:gosec // a file of ours
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			text.WriteString("\n" + string(section))
		}
	}
	return os.WriteFile(r.file, []byte(text.String()), 0o644) //nolint:gosec // as above
}
