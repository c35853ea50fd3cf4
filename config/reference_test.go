package config_test

import (
	"flag"
	"os"
	"testing"

	"copse/config"
)

var update = flag.Bool("update", false, "rewrite docs/CONFIG.md and the completion scripts in testdata")

// golden compares a text with a file of the repository.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the table says now; go test ./config -update rewrites it", path)
	}
}

func TestTheReferenceIsTheTable(t *testing.T) { golden(t, "../docs/CONFIG.md", config.Reference()) }

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := config.Completion(shell)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/completion."+shell, script)
	}
	if _, err := config.Completion("tcsh"); err == nil {
		t.Error("tcsh is a shell that can be completed")
	}
}
