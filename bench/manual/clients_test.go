package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The programs of docs/CLIENTS.md, by the language of their blocks, and how each is run.
var programs = []struct {
	language, file string
	run            []string
	optional       bool // make test doesn't install what runs it
}{
	{language: "go", file: "main.go", run: []string{"go", "run"}},
	{language: "python", file: "demo.py", run: []string{"/usr/bin/python3"}}, // with Debian's python3-etcd
	{language: "bash", file: "demo.sh", run: []string{"bash"}},
	{language: "java", file: "Demo.java", run: []string{"java"}, optional: true},
	{language: "js", file: "demo.mjs", run: []string{"node"}, optional: true},
}

func TestTheProgramsForClients(t *testing.T) {
	s, _ := start(t)
	lines := page(t, "CLIENTS.md")
	_, port, _ := strings.Cut(s.Address, ":")
	there := strings.NewReplacer(clients, s.Address, "port=2379", "port="+port)
	want := block(t, lines, "")
	for _, p := range programs {
		t.Run(p.language, func(t *testing.T) {
			text := there.Replace(block(t, lines, p.language))
			if _, err := exec.LookPath(p.run[0]); err != nil && p.optional {
				t.Skipf("NOT TESTED: the program in %s, as there is no %s", p.language, p.run[0])
			}
			file := filepath.Join(t.TempDir(), p.file)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			line := append(slices.Clone(p.run), file)
			out, err := exec.CommandContext(t.Context(), line[0], line[1:]...).CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("%v, prints\n%s\nwant\n%s", err, out, want)
			}
		})
	}
}

// block is the first fenced block of a language.
func block(t *testing.T, lines []string, language string) string {
	t.Helper()
	from := slices.Index(lines, fence+language) + 1
	length := slices.Index(lines[from:], fence)
	if from == 0 || length <= 0 {
		t.Fatalf("docs/CLIENTS.md has no program in %q", language)
	}
	return strings.Join(lines[from:from+length], "\n") + "\n"
}
