package model_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write the traces that the model makes now to the testdata of actors/shard")

// tracesDir is where actors/shard finds the traces that its core has to follow.
const tracesDir = "../../actors/shard/testdata/model"

// runsEach is how many courses of events a file of traces has, with seeds that follow each other.
const runsEach = 12

// traced are the courses of events that the core is shown: those in which only inputs
// matter, not time or chance. The first seed is one that leads on to rare ones.
var traced = []struct {
	name    string
	seed    int
	defines string
}{
	{"dense-leaders", 1, "-DDENSE -DWRITES=3 -DELSEWHERE=6 -DCHANGES=3"},
	{"dense-losses", 1, "-DDENSE -DWRITES=4 -DELSEWHERE=15 -DLOSSES=4"},
	{"dense-losses-leaders", 1, "-DDENSE -DWRITES=4 -DELSEWHERE=7 -DLOSSES=2 -DCHANGES=1"},
	{"dense-drops", 1, "-DDENSE -DWRITES=4 -DELSEWHERE=6 -DDROPS=2 -DCHANGES=2"},
	{"dense-jumps", 1, "-DDENSE -DWRITES=4 -DELSEWHERE=6 -DJUMPS=2 -DCHANGES=2"},
	{"sharded-leaders", 1, "-DWRITES=4 -DELSEWHERE=6 -DCHANGES=3 -DCHANGING=2"},
	{"sharded-drops", 80, "-DWRITES=4 -DELSEWHERE=6 -DSECOND=0 -DDROPS=3"},
	{"sharded-faults", 1, "-DWRITES=4 -DELSEWHERE=6 -DCHANGES=1 -DTIMEOUTS=2 -DDROPS=1 -DORDERJUMPS=1 -DJUMPS=1"},
}

// The core of actors/shard has to do what the model does. Its test replays traces of the
// model; this one holds that they are what the model says now.
func TestTraces(t *testing.T) {
	for _, s := range traced {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			b.WriteString("# Courses of events in bench/model, which this package's core follows in TestModel.\n" +
				"# Written by (cd bench && go test ./model -run TestTraces -write).\n")
			for i := range runsEach {
				b.WriteString(trace(t, s.seed+i, s.defines))
			}
			name := filepath.Join(tracesDir, s.name+".trace")
			if *write {
				if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != b.String() {
				t.Errorf("%s isn't what the model says now: write it again, and see whether the core still follows", name)
			}
		})
	}
}

// trace returns what spin prints in one simulation.
func trace(t *testing.T, seed int, defines string) string {
	t.Helper()
	args := append([]string{fmt.Sprintf("-n%d", seed), "-T", "-DTRACE", "-DSLOTS=4", "-DLAG=14"}, strings.Fields(defines)...)
	out := "\n# spin " + strings.Join(args, " ") + "\n"
	ended := false
	for line := range strings.Lines(command(t, copied(t), "spin", append(args, "index.pml")...)) {
		switch {
		case strings.Contains(line, "broken") || strings.Contains(line, "Error"):
			t.Fatalf("seed %d: %s", seed, line)
		case strings.HasPrefix(strings.TrimSpace(line), "timeout"):
			ended = true
		case strings.Contains(line, " > ") || strings.Contains(line, " < ") || strings.HasPrefix(line, "log "):
			if !ended {
				out += line
			}
		}
	}
	if !ended {
		t.Fatalf("seed %d doesn't come to an end", seed)
	}
	return out
}
