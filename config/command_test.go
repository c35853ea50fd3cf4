package config_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"copse/config"
)

func TestFindCommand(t *testing.T) {
	tests := []struct {
		args, name, rest, complaint string
	}{
		{"", "serve", "", ""},
		{"--name=a", "serve", "--name=a", ""},
		{"-version", "serve", "-version", ""},
		{"serve --name=a", "serve", "--name=a", ""},
		{"health --quiet", "health", "--quiet", ""},
		{"config check", "config check", "", ""},
		{"config show --json", "config show", "--json", ""},
		{"completion bash", "completion", "bash", ""},
		{"help config show", "help", "config show", ""},
		{"config", "", "", "copse config needs a subcommand: copse config check, copse config show"},
		{"auth init --password-file=p", "auth init", "--password-file=p", ""},
		{"auth", "", "", "copse auth needs a subcommand: copse auth init"},
		{"config --json", "", "", "copse config needs a subcommand"},
		{"config shwo", "", "", "did you mean copse config show"},
		{"srve", "", "", `unknown command "srve"; did you mean copse serve`},
		{"-o json ge /a", "", "", `unknown command "ge"; did you mean copse get`},
		{"--endpoints http://h:1 memver list", "", "", "did you mean copse member"},
		{"heath --quiet", "", "", "did you mean copse health"},
		{"start", "", "", "unknown command"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			command, rest, err := config.FindCommand(strings.Fields(tt.args))
			switch {
			case tt.complaint != "":
				if err == nil || !strings.Contains(err.Error(), tt.complaint) {
					t.Errorf("err = %v, want %q", err, tt.complaint)
				}
			case err != nil || command.Name != tt.name || strings.Join(rest, " ") != tt.rest:
				t.Errorf("%q with %q left, %v", command.Name, rest, err)
			}
		})
	}
}

// loadLine is Load of a whole command line.
func loadLine(t *testing.T, line string) (config.Config, error) {
	t.Helper()
	command, rest, err := config.FindCommand(strings.Fields(line))
	if err != nil {
		t.Fatal(err)
	}
	src := sources(t, nil, rest, nil)
	src.Command = command
	c, _, err := config.Load(src)
	return c, err
}

func TestOptionsOfCommands(t *testing.T) {
	c, err := loadLine(t, "health --quiet --timeout 300ms -endpoint=https://h:1/x --name a")
	if err != nil || !c.Options.Quiet || c.Options.Timeout.Milliseconds() != 300 || c.Options.Endpoint != "https://h:1/x" || c.Name != "a" {
		t.Errorf("%+v, %v", c.Options, err)
	}
	if c, err = loadLine(t, "config show --json"); err != nil || !c.Options.JSON {
		t.Errorf("%+v, %v", c.Options, err)
	}
	if c, err = loadLine(t, "auth init --password-file=p --endpoint=http://h:1"); err != nil || c.Options.PasswordFile != "p" || c.Options.Endpoint != "http://h:1" {
		t.Errorf("%+v, %v", c.Options, err)
	}
	if c, err = loadLine(t, "completion zsh"); err != nil || !slices.Equal(c.Options.Operands, []string{"zsh"}) {
		t.Errorf("%+v, %v", c.Options, err)
	}
	for line, want := range map[string]string{
		"serve --quiet":               "unknown flag --quiet",
		"version --name=a":            "unknown flag --name=a; did you mean --",
		"version x":                   `"x" is not a flag`,
		"health --endpoint=h:1":       `--endpoint: "h:1" is not a URL`,
		"health --timeout=1":          `--timeout: "1" is not a duration`,
		"health --election-timeout=1": "election-timeout (1ms) must be",
		"auth init --password=secret": "unknown flag --password=secret",
		"auth init secret":            `"secret" is not a flag`,
		"config check now":            `"now" is not a flag`,
	} {
		if _, err := loadLine(t, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want %q", line, err, want)
		}
	}
}

func TestEachCommandHasHelp(t *testing.T) {
	whole := config.Help(config.Command{})
	zsh, err := config.Completion("zsh")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range config.Commands() {
		if !strings.Contains(whole, command.Summary) {
			t.Errorf("the help does not mention %s", command.Name)
		}
		help := config.Help(command)
		if first, _, _ := strings.Cut(command.Name, " "); !strings.Contains(zsh, "'"+first+":") || strings.Contains(zsh, "'"+first+":'") {
			t.Errorf("the completion says nothing of copse %s", first)
		}
		if !strings.Contains(help, command.Summary) || !strings.Contains(help, command.Details) {
			t.Errorf("%s: %s", command.Name, help)
		}
		if _, err := loadLine(t, command.Name+" --help"); !errors.Is(err, config.ErrHelp) {
			t.Errorf("copse %s --help: %v", command.Name, err)
		}
		for line := range strings.Lines(whole + help) {
			if len(line) > 121 {
				t.Errorf("too wide: %s", line)
			}
		}
	}
	if help := config.Help(config.Commands()[1]); !strings.Contains(help, "--endpoint <url>\n      URL to request instead") || strings.Contains(help, "--cors") {
		t.Errorf("the help of health: %s", help)
	}
}

// Each shell that is there sources its script and is asked to complete.
func TestCompletionInRealShells(t *testing.T) {
	cases := []struct {
		words []string // the last one is being typed
		want  string   // one of the answers
		not   string   // none of them
	}{
		{[]string{"copse", "con"}, "config", "serve"},
		{[]string{"copse", "config", "s"}, "show", "check"},
		{[]string{"copse", "auth", "init", "--pass"}, "--password-file", "--quiet"},
		{[]string{"copse", "completion", ""}, "fish", "serve"},
		{[]string{"copse", "--initial-cluster-s"}, "--initial-cluster-state", "--name"},
		{[]string{"copse", "health", "--qu"}, "--quiet", "--json"},
		{[]string{"copse", "health", "--listen-m"}, "--listen-metrics-urls", "--json"},
		{[]string{"copse", "config", "show", "--js"}, "--json", "--quiet"},
		{[]string{"copse", "serve", "--log-format", "j"}, "json", "text"},
		{[]string{"copse", "version", "--"}, "--help", "--name"},
		{[]string{"copse", "get", "--output", ""}, "extended", "/"},
		{[]string{"copse", "get", "-o", ""}, "extended", "/"},
	}
	for _, shell := range []string{"bash", "fish"} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("there is no %s here, its script has NOT been tried", shell)
			continue
		}
		for _, c := range cases {
			script := `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _copse; printf '%s\n' "${COMPREPLY[@]}"`
			args := append([]string{"-c", script, "bash", "testdata/completion.bash"}, c.words...)
			if shell == "fish" {
				args = []string{"-c", `source testdata/completion.fish; complete -C "$argv"`, strings.Join(c.words, " ")}
			}
			cmd := exec.Command(shell, args...)
			cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
			out, err := cmd.CombinedOutput()
			var answers []string
			for line := range strings.Lines(string(out)) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				answers = append(answers, word)
			}
			if err != nil || !slices.Contains(answers, c.want) || slices.Contains(answers, c.not) {
				t.Errorf("%s, %q: %q, %v", shell, c.words, out, err)
			}
		}
	}
}

// bash takes --flag=value apart before it asks.
func TestBashCompletesJoinedValues(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"copse --log-format =", "auto json text"},
		{"copse --log-format = te", "text"},
		{"copse serve --enable-pprof = t", "true"},
		{"copse --enable-pprof t", ""},
	} {
		out, err := exec.Command("bash", "-c", `source "$1"; shift; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _copse; echo $(printf '%s\n' "${COMPREPLY[@]}" | sort)`,
			"bash", "testdata/completion.bash", c.words).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.words, got, err, c.want)
		}
	}
}

// The scripts ask copse ls for keys.
func TestKeysAreCompleted(t *testing.T) {
	dir := t.TempDir()
	fake := "#!/bin/sh\n[ \"$1 $6\" = 'ls /app/' ] || exit 1\nprintf '%s\\n' '/app/a b' /app/web/ '/app/$(touch made)' '/app/`touch made`'\n"
	if err := os.WriteFile(filepath.Join(dir, "copse"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ words, want string }{
		{"copse get /app/", `/app/a\ b` + "\n/app/web/\n" + `/app/\$\(touch\ made\)` + "\n/app/\\`touch\\ made\\`"},
		{`copse get /app/a\ `, `/app/a\ b`},
		{"copse rm -r /app/w", "/app/web/"},
		{"copse member /app/w", ""},
	} {
		cmd := exec.Command("bash", "-c", `source "$1"; shift; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _copse; printf '%s\n' "${COMPREPLY[@]}"`, "bash", "testdata/completion.bash", c.words)
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
		out, err := cmd.CombinedOutput()
		if os.Remove("made") == nil {
			t.Fatalf("%s: the name of a key was carried out", c.words)
		}
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.words, got, err, c.want)
		}
	}
}

func TestZshTakesItsScript(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Log("there is no zsh here, its script has NOT been tried")
		return
	}
	// zsh completes on a terminal only, so the calls that the script makes
	// are looked at instead.
	const script = `autoload -Uz compinit; compinit -D -u
source $1; shift; print registered $_comps[copse]
_arguments() { print -r -- "$@" }
_describe() { print -r -- ${(P)2} }
for line in "$@"; do words=("${(@s: :)line}"); CURRENT=$#words; print -r -- "== $line"; _copse; done`
	path, err := filepath.Abs("testdata/completion.zsh")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ words, want string }{
		{"copse con", "config:Look at the settings."},
		{"copse auth ", "init:Make the user root"},
		{"copse config s", "show:Print each setting"},
		{"copse config show --", "--json=-["},
		{"copse health --", "--endpoint=["},
		{"copse health --", "--log-format=["},
		{"copse --", "--log-level=[Lowest level that is logged]:value:(debug info warn error)"},
		{"copse --", "--data-dir=[Data directory]:path:_files"},
		{"copse completion b", "1:word:(bash zsh fish)"},
		{"copse get /", "1:key:_copse_keys"},
		{"copse get -", "-o[Form of what is printed: simple, extended or json]:value:(simple extended json)"},
	}
	args := []string{"-f", "-c", script, "zsh", path}
	for _, c := range cases {
		args = append(args, c.words)
	}
	cmd := exec.Command("zsh", args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	answers := strings.Split(string(out), "== ")
	if err != nil || len(answers) != len(cases)+1 || answers[0] != "registered _copse\n" {
		t.Fatalf("%q, %v", out, err)
	}
	for i, c := range cases {
		if !strings.Contains(answers[i+1], c.want) {
			t.Errorf("%s: %q, want %q", c.words, answers[i+1], c.want)
		}
	}
}
