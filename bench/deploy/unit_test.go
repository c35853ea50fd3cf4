package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"
)

const (
	unitFile      = "../../deploy/systemd/copse.service"
	unitInstalled = "/usr/local/bin/copse" // where the unit expects the binary
)

// readUnit returns the values of each setting of the unit, as section.key.
func readUnit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	unit, section := map[string][]string{}, ""
	for i, line := range strings.Split(string(text), "\n") {
		key, value, setting := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = strings.Trim(line, "[]")
		case setting && section != "" && key == strings.TrimSpace(key):
			unit[section+"."+key] = append(unit[section+"."+key], value)
		default:
			t.Fatalf("line %d is neither a section nor a setting: %q", i+1, line)
		}
	}
	return unit
}

func TestUnit(t *testing.T) {
	unit := readUnit(t)
	for key, want := range map[string][]string{
		"Service.ExecStart":       {unitInstalled},
		"Service.ExecReload":      {"/bin/kill -HUP $MAINPID"},
		"Service.Restart":         {"on-failure"},
		"Service.LimitNOFILE":     {"1048576"},
		"Service.StateDirectory":  {"copse"},
		"Service.TimeoutStopSec":  {"60"},
		"Service.NoNewPrivileges": {"yes"},
		"Service.ProtectSystem":   {"strict"},
		"Install.WantedBy":        {"multi-user.target"},
		// Those of docs/OPERATING.md that a restart doesn't help with.
		"Service.RestartPreventExitStatus": {"2 3 4 5"},
	} {
		if !slices.Equal(unit[key], want) {
			t.Errorf("%s is %q, want %q", key, unit[key], want)
		}
	}
	env := map[string]string{}
	for _, pair := range unit["Service.Environment"] {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	line := strings.Fields(unit["Service.ExecStart"][0])
	if got := askCopse(t, env, line[1:])["data-dir"]; got != "/var/lib/"+unit["Service.StateDirectory"][0] {
		t.Errorf("the data is in %s", got)
	}
}

// TestUnitBySystemd has systemd's own tool read the unit, where it is.
func TestUnitBySystemd(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("NOT TESTED: there is no systemd-analyze here")
	}
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// It checks whether the program exists.
	file := filepath.Join(t.TempDir(), "copse.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "="+unitInstalled, "="+binary)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", file).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 10 is a service without any protection.
	if out, err := exec.Command(tool, "security", "--offline=true", "--threshold=20", "--no-pager", file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
