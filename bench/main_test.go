package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse_Flags(t *testing.T) {
	t.Parallel()
	all, err := parse(nil)
	if err != nil || !slices.Equal(all.tasks, []int{100_000, 1_000_000}) || len(all.parts) != len(parts()) || all.out == "" {
		t.Errorf("without flags: %+v, %v", all, err)
	}
	first, err := parse([]string{"-tasks", "20000,5000,5000", "-quick"})
	if err != nil || first.rounds != 1 || !slices.Equal(first.tasks, []int{5000, 20000}) || first.out != "" ||
		!slices.Equal(names(first.parts), []string{"speed"}) {
		t.Errorf("quick: %+v, %v", first, err)
	}
	some, err := parse([]string{"-work", "refresh,create"})
	if err != nil || !slices.Equal(names(some.works), []string{"create", "refresh"}) || len(some.parts) != 1 || some.out != "" {
		t.Errorf("some work: %+v, %v", some, err)
	}
	for _, args := range [][]string{
		{"-tasks", "many"}, {"-tasks", "10"}, {"-only", "sped"}, {"-work", "creates"}, {"-rounds", "0"}, {"-clients", "1000"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q are taken", args)
		}
	}
}

func TestResults_KeepWhatIsNotMeasuredAnew(t *testing.T) {
	t.Parallel()
	r := resultsAt(filepath.Join(t.TempDir(), "RESULTS.md"))
	rendered := func() string {
		t.Helper()
		if err := r.render(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(r.file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write := func(name, text string) {
		t.Helper()
		if err := r.write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	write("timing.md", "## Times\n")
	write("flood.md", "## Flood\n")
	if got := rendered(); !strings.Contains(got, "## Times\n\n## Flood\n") || strings.Contains(got, "ratios.svg") {
		t.Errorf("two parts give:\n%s", got)
	}
	speed, err := json.Marshal(madeUp(nil))
	if err != nil {
		t.Fatal(err)
	}
	write(speedFile, string(speed))
	write("flood.md", "## Another flood\n")
	got := rendered()
	for _, want := range []string{"(ratios.svg)", "## 100,000 tasks", "## Times", "## Another flood"} {
		if !strings.Contains(got, want) {
			t.Errorf("three parts give no %q:\n%s", want, got)
		}
	}
	for _, name := range []string{"ratios.svg", "latency.svg"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(r.file), name)); err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryOf_ReadsTheStatus(t *testing.T) {
	t.Parallel()
	got := memoryOf([]byte("Name:\tdueto\nVmPeak:\t 1200 kB\nVmHWM:\t   61440 kB\nVmRSS:\t   51200 kB\nRssAnon:\t 7 kB\n"))
	if want := (memory{Resident: 50 << 20, Peak: 60 << 20}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestChain_SpendsEachTokenOnce(t *testing.T) {
	t.Parallel()
	c := &chain{server: &server{url: "http://127.0.0.1:8000"}}
	c.follow("first")
	if !strings.HasSuffix(string(c.next()), `{"refresh":"first"}`) {
		t.Errorf("sent %q", c.next())
	}
	if err := c.answered(http.StatusOK, []byte("HTTP/1.1 200 OK\r\n\r\n"+`{"access":"a","refresh":"second","expires_in":300}`)); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(c.next()), `{"refresh":"second"}`) {
		t.Errorf("sent %q", c.next())
	}
	for _, answer := range []string{`{"access":"a"}`, `{"refresh":"cut`} {
		if err := c.answered(http.StatusOK, []byte(answer)); err == nil {
			t.Errorf("%s goes on", answer)
		}
	}
	if err := c.answered(http.StatusUnauthorized, nil); err == nil {
		t.Error("a refusal goes on")
	}
}

func TestTurns_SpreadClients(t *testing.T) {
	t.Parallel()
	sources := inTurn([][]byte{{0}, {1}, {2}, {3}}, 2)
	var sent []byte
	for range 3 {
		for _, s := range sources {
			sent = append(sent, s.next()...)
		}
	}
	if want := []byte{0, 2, 1, 3, 2, 0}; !slices.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_000_000: "1,000,000", 12_345: "12,345"} {
		if got := thousands(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
