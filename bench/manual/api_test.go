package manual

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// An example is a line of a fenced block that begins with the prompt, and its answer the lines
// below. Of the answer, any is whatever differs from one run to the next.
const (
	fence  = "```"
	prompt = "$ "
	any    = "…"
)

// The addresses in the page, which are those of a server without settings.
const (
	clients    = "127.0.0.1:2379"
	peers      = "127.0.0.1:2380"
	operations = "127.0.0.1:2381"
)

func TestTheExamplesOfTheAPI(t *testing.T) {
	s, port := start(t)
	tapped := newTap(t, s.Address)
	there := strings.NewReplacer(clients, tapped.Addr().String(), operations, port)
	back := strings.NewReplacer(s.Address, clients, strings.TrimPrefix(s.PeerURL, "http://"), peers, `"name":"n1"`, `"name":"default"`, "\r", "")
	lines, count := page(t, "API.md"), 0
	for i := 0; i < len(lines); i++ {
		command, found := strings.CutPrefix(lines[i], prompt)
		if !found {
			continue
		}
		count++
		var want []string
		for ; !strings.HasPrefix(lines[i+1], prompt) && lines[i+1] != fence; i++ {
			want = append(want, lines[i+1])
		}
		out, _ := exec.CommandContext(t.Context(), "bash", "-c", there.Replace(command)).CombinedOutput() // a stream that curl gives up is an example
		got := strings.TrimRight(back.Replace(string(out)), "\n")
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(strings.Join(want, "\n"), "\n")), any, "[^\n]*?")
		if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("%s\nprints\n%s\nwant\n%s", command, got, strings.Join(want, "\n"))
		}
	}
	if count < 50 {
		t.Errorf("docs/API.md has %d examples", count)
	}
	tapped.stop()
	checkCalls(t, tapped)
}
