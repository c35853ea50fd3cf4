package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/config"
	"copse/config/build"
)

// perform runs one command to its end.
func perform(t *testing.T, environ []string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	work, code := Run(Line{Args: args, Environ: environ, Like: "3.4.23", MaxShards: 64, CacheSize: 512 << 20, Stdout: &out, Stderr: &errs})
	if work != nil {
		t.Fatalf("%q leaves work for main", args)
	}
	return code, out.String(), errs.String()
}

func TestCommandLines(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "copse.yml")
	if err := os.WriteFile(file, []byte("name: from-file\nelection-timeout: 3000\nmax-wals: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.yml")
	if err := os.WriteFile(broken, []byte("nmae: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big.yml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#"), fileLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		line           string
		environ        []string
		code           int
		stdout, stderr string // parts
	}{
		{"--version", nil, 0, "copse " + build.Version + "\n", ""},
		{"-version", nil, 0, "copse " + build.Version + "\n", ""},
		{"version", []string{"COPSE_SHARDS=many"}, 0, "answers   like etcd 3.4.23", ""},
		{"--help", nil, 0, "--election-timeout <ms>", ""},
		{"-h", nil, 0, "Exit codes:", ""},
		{"help", nil, 0, "copse health [--quiet]", ""},
		{"help health", nil, 0, "operations port", ""},
		{"help config show", nil, 0, "copse config show [--json] [flags]", ""},
		{"health --help", nil, 0, "--timeout <duration>", ""},
		{"help nothing", nil, config.ExitUsage, "", `unknown command "nothing"`},
		{"help health now", nil, config.ExitUsage, "", `"now" is one too many`},
		{"help get /a", nil, config.ExitUsage, "", `"/a" is one too many`},
		{"heatlh", nil, config.ExitUsage, "", "did you mean copse health"},
		{"config", nil, config.ExitUsage, "", "copse config check, copse config show"},
		{"serve --naem=x", nil, config.ExitUsage, "", "did you mean --name"},
		{"serve now", nil, config.ExitUsage, "", `"now" is not a flag`},
		{"licenses", nil, 0, "github.com/lni/dragonboat/v4", ""},
		{"completion bash", nil, 0, "complete -F _copse copse", ""},
		{"completion", nil, config.ExitUsage, "", "bash, zsh or fish"},
		{"completion tcsh", nil, config.ExitUsage, "", "bash, zsh or fish"},
		{"config check", nil, 0, "configuration OK", ""},
		{"config check --initial-cluster-state existing --data-dir " + dir, nil, config.ExitUsage, "", "names no other member to ask"},
		{"config check --initial-cluster-state existing --initial-cluster default=http://localhost:2380,b=http://h:1 --data-dir " + dir, nil, 0, "configuration OK", ""},
		{"config check --config-file " + file, nil, 0, "configuration OK", "max-wals"},
		{"config check --drain-delay=5s", []string{"ETCD_ENABLE_PPROF=true"}, 0, "configuration OK", ""},
		{"config check --config-file " + broken, nil, config.ExitUsage, "", "broken.yml:1: unknown setting nmae; did you mean name?"},
		{"config check", []string{"ETCD_CONFIG_FILE=" + big}, config.ExitUsage, "", "larger than 1048576 bytes"},
		{"config check --config-file " + dir + "/none.yml --shards=0", nil, config.ExitUsage, "", "no such file or directory\nshards (0)"},
		{"config check --listen-client-urls=https://127.0.0.1:1 --cert-file=/none.pem --key-file=/none.key", nil, config.ExitUsage, "", "cert-file: open /none.pem"},
		{"config show --config-file=" + file, []string{"COPSE_NAME=from-env"}, 0, "environment COPSE_NAME", ""},
		{"config show --config-file=" + file, nil, 0, "file " + file + ", line 2", ""},
		{"config show --json", nil, 0, "\"512MiB\",\n    \"origin\": \"follows from the memory that may be used\"", ""},
		{"config show --shards=0", nil, config.ExitUsage, "", "shards (0)"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			code, stdout, stderr := perform(t, tt.environ, strings.Fields(tt.line)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
			}
			if tt.stderr == "" && stderr != "" || code != 0 && stdout != "" {
				t.Errorf("said too much:\n%s\n%s", stdout, stderr)
			}
		})
	}
}

func TestHelpOfEveryCommand(t *testing.T) {
	for _, c := range config.Commands() {
		code, stdout, stderr := perform(t, nil, append([]string{"help"}, strings.Fields(c.Name)...)...)
		if code != 0 || !strings.Contains(stdout, c.Summary) || stderr != "" {
			t.Errorf("copse help %s: exit code %d\n%s%s", c.Name, code, stdout, stderr)
		}
	}
	for _, group := range []string{"member", "user", "role"} {
		if code, stdout, stderr := perform(t, nil, "help", group); code != 0 || !strings.Contains(stdout, group+" list") || stderr != "" {
			t.Errorf("copse help %s: exit code %d\n%s%s", group, code, stdout, stderr)
		}
	}
}

func TestShownSettingsAreAligned(t *testing.T) {
	_, table, _ := perform(t, nil, "config", "show", "--name=me", "--cors=http://a")
	column := -1
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if at := strings.Index(line, "  "+fields[1]) + 2; column >= 0 && at != column {
			t.Fatalf("not aligned:\n%s", table)
		} else {
			column = at
		}
	}
	_, text, _ := perform(t, nil, "config", "show", "--json", "--name=me")
	var values []struct{ Setting, Value, Origin string }
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	if len(values) != strings.Count(table, "\n") || values[1].Setting != "name" || values[1].Value != "me" || values[1].Origin != "flag" {
		t.Errorf("%s", text)
	}
}

func TestHelpTellsEveryExitCode(t *testing.T) {
	_, help, _ := perform(t, nil, "help")
	for _, code := range []int{0, config.ExitFailed, config.ExitUsage, config.ExitLocked, config.ExitNewer, config.ExitCorrupt} {
		if !strings.Contains(help, fmt.Sprintf("\n  %d  ", code)) {
			t.Errorf("exit code %d is not in the help", code)
		}
	}
}

func TestServeAndHealthAreLeftForMain(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args   []string
		health bool
	}{
		{nil, false}, {[]string{"serve"}, false}, {[]string{"--name=me"}, false}, {[]string{"health", "--quiet"}, true},
		// Asking for the health doesn't read the server's certificates.
		{[]string{"health", "--listen-client-urls=https://127.0.0.1:1", "--cert-file=" + dir + "/none", "--key-file=" + dir + "/none"}, true},
	} {
		var out, errs bytes.Buffer
		work, code := Run(Line{Args: c.args, MaxShards: 64, CacheSize: 512 << 20, Stdout: &out, Stderr: &errs})
		if work == nil || work.Command == "health" != c.health || (work.Server != nil) != c.health || work.Hostname == "" || out.Len()+errs.Len() > 0 {
			t.Errorf("%q: %+v, exit code %d\n%s%s", c.args, work, code, &out, &errs)
		}
	}
	var errs bytes.Buffer
	work, code := Run(Line{Args: []string{"--listen-client-urls=https://127.0.0.1:1", "--cert-file=" + dir + "/none", "--key-file=" + dir + "/none"}, MaxShards: 64, CacheSize: 512 << 20, Stderr: &errs})
	if work != nil || code != config.ExitUsage || !strings.Contains(errs.String(), "cert-file: open") {
		t.Errorf("serving without the certificate: %+v, exit code %d\n%s", work, code, &errs)
	}
}
