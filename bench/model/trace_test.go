package model_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	traces = flag.String("traces", "", "a directory to write a trace of each scenario to")
	seeds  = flag.Int("seeds", 40, "how many random courses to choose each of those traces from")
)

// shapes are the events of a trace with their fields, in order; doc.go explains them.
var shapes = map[string]string{
	"write":    "member shard writes home above",
	"gather":   "member shard id writes",
	"ask":      "member shard id count",
	"grant":    "shard id first last",
	"order":    "member shard first last",
	"propose":  "member shard id first last",
	"log":      "shard id first last writes",
	"apply":    "member shard first last writes",
	"refuse":   "member shard first last",
	"close":    "member shard last",
	"settle":   "member shard last",
	"index":    "member last",
	"lose":     "member shard id",
	"doubt":    "member shard id first",
	"drop":     "member shard id first",
	"again":    "member shard id writes to",
	"unknown":  "member shard id writes",
	"lead":     "member shard",
	"follow":   "member shard writes",
	"snapshot": "member shard entries",
	"catchup":  "member last",
	"restart":  "member last",
	"reopen":   "member shard last",
}

// event is one line of a trace.
type event struct {
	name  string
	field map[string]int
}

// parse reads a trace. Lines that begin with # are comments.
func parse(text string) (events []event, err error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		e := event{words[0], map[string]int{}}
		var names []string
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			if e.field[name], err = strconv.Atoi(value); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			names = append(names, name)
		}
		if shape, known := shapes[e.name]; !known || shape != strings.Join(names, " ") {
			return nil, fmt.Errorf("%q: want %s %s", line, e.name, shape)
		}
		events = append(events, e)
	}
	return events, nil
}

// kept reports the first event that breaks one of the rules that can be seen in a
// trace alone.
func kept(events []event) error {
	var granted int
	var tail, index [2]int // by shard, by member
	written := map[int]bool{}
	for i, e := range events {
		f, broken := e.field, ""
		switch e.name {
		case "grant":
			if f["first"] != granted+1 || f["last"] < f["first"] {
				broken = "ranges follow each other"
			}
			granted = f["last"]
		case "log":
			if f["first"] != 0 && f["first"] > tail[f["shard"]] != (f["writes"] != 0) {
				broken = "a batch is refused if it starts at or below the settled index, and only then"
			}
			tail[f["shard"]] = max(tail[f["shard"]], f["last"])
			for w := 1; w <= f["writes"]; w <<= 1 {
				if f["writes"]&w != 0 && written[w] {
					broken = "no write is applied twice"
				}
				written[w] = written[w] || f["writes"]&w != 0
			}
		case "index":
			if f["last"] <= index[f["member"]] || f["last"] > granted {
				broken = "the closed index grows, up to what was handed out"
			}
			index[f["member"]] = f["last"]
		case "restart":
			index[f["member"]] = 0
		}
		if broken != "" {
			return fmt.Errorf("event %d, %v: broken: %s", i+1, e, broken)
		}
	}
	return nil
}

// simulate is one random course of events, the same for the same seed.
func simulate(t *testing.T, defines string, seed int) string {
	t.Helper()
	args := append([]string{"-T", "-B", "-DTRACE", fmt.Sprintf("-n%d", seed)}, strings.Fields(defines)...)
	output := command(t, ".", "spin", append(args, "index.pml")...)
	if strings.Contains(output, "broken:") || strings.Contains(output, "assertion violated") {
		t.Fatalf("%s, seed %d:\n%s", defines, seed, output)
	}
	var lines strings.Builder
	for line := range strings.Lines(output) {
		if said, ok := strings.CutPrefix(line, "@"); ok {
			lines.WriteString(said)
		}
	}
	return lines.String()
}

// richest is the course of so many in which the most different things happen, the
// shortest of these.
func richest(t *testing.T, defines string, seeds int) (seed int, trace string) {
	var most int
	for n := 1; n <= seeds; n++ {
		text := simulate(t, defines, n)
		names := map[string]bool{}
		for line := range strings.Lines(text) {
			names[strings.Fields(line)[0]] = true
		}
		if len(names) > most || len(names) == most && len(text) < len(trace) {
			seed, trace, most = n, text, len(names)
		}
	}
	return seed, trace
}

var notInNames = regexp.MustCompile(`[^a-z]+`)

// TestTraces prints what the model does in each scenario, for -traces into files.
func TestTraces(t *testing.T) {
	for i, s := range scenarios {
		wanted := 1
		if *traces != "" {
			wanted = *seeds
		}
		seed, trace := richest(t, s.defines, wanted)
		events, err := parse(trace)
		if err == nil {
			err = kept(events)
		}
		if err != nil || len(events) == 0 {
			t.Fatalf("%s, seed %d: %d events, %v", s.defines, seed, len(events), err)
		}
		if *traces == "" {
			continue
		}
		name := fmt.Sprintf("%02d-%s.txt", i+1, strings.Trim(notInNames.ReplaceAllString(strings.ToLower(s.name), "-"), "-"))
		text := fmt.Sprintf("# %s\n# %s, seed %d\n%s", s.name, s.defines, seed, trace)
		if err := os.WriteFile(filepath.Join(*traces, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The traces in testdata are of this format, keep the rules, and show every event.
func TestCommittedTraces(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(scenarios) {
		t.Fatalf("%d traces, want one for each of %d scenarios; %v", len(files), len(scenarios), err)
	}
	var seen []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		events, err := parse(string(text))
		if err == nil {
			err = kept(events)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, e := range events {
			seen = append(seen, e.name)
		}
	}
	for name := range shapes {
		if !slices.Contains(seen, name) {
			t.Errorf("no trace shows %q", name)
		}
	}
}

func TestBrokenTracesAreNoticed(t *testing.T) {
	for text, want := range map[string]string{
		"grant shard=0 id=0 first=2 last=2":                                                   "ranges follow",
		"log shard=0 id=0 first=1 last=0 writes=0":                                            "refused if",
		"log shard=0 id=-1 first=0 last=1 writes=0\nlog shard=0 id=0 first=1 last=1 writes=1": "refused if",
		"log shard=0 id=0 first=1 last=1 writes=2\nlog shard=1 id=4 first=2 last=2 writes=3":  "twice",
		"index member=0 last=1":                                                               "closed index",
		"grant shard=0 id=0 first=1 last=2\nindex member=0 last=2\nindex member=0 last=1":     "closed index",
		"grant shard=0 first=1 last=2":                                                        "want grant",
		"grant shard=x":                                                                       "invalid syntax",
		"take shard=0":                                                                        "want take",
	} {
		events, err := parse(text)
		if err == nil {
			err = kept(events)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
