package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Command is something that copse can be told to do.
type Command struct {
	Name     string // as it is typed: one word or two
	Operands string // the words that follow, for the help
	Summary  string // one line
	Details  string // paragraphs
	// Settings says that every setting may be given too. A command without them
	// reads no environment and no file.
	Settings bool

	choices []string // what an operand can be
	options []setting
}

// Options are what some commands take besides the settings. They have flags
// only: neither environment nor file knows them.
type Options struct {
	Quiet    bool
	Endpoint string
	Timeout  time.Duration
	JSON     bool
	Operands []string
}

// Commands lists all there are, in the order of the help.
func Commands() []Command {
	return []Command{
		{Name: "serve", Settings: true,
			Summary: "Serve; what copse does when no command is given."},
		{Name: "health", Settings: true, options: healthOptions(),
			Summary: "Exit with 0 if the server on this machine is well, with 1 if not.",
			Details: `Understands the settings of copse serve, so that it finds a server that was
started with the same environment or file. It asks /readyz on the operations
port where listen-metrics-urls is given, and otherwise /health on the client
port: two servers on one machine may both have left the operations port at its
default, and only the client port is surely this one's. Of several URLs it takes
one without TLS if there is one.

The answer of an https port on loopback is taken without checking its
certificate, which seldom names 127.0.0.1; nothing secret is sent, and who can
serve there has this machine already. Elsewhere an authority of trusted-ca-file
or of the system must vouch for it. Where a client certificate is asked for, that
of cert-file is shown.`},
		{Name: "config check", Settings: true,
			Summary: "Check the settings and the certificates without starting.",
			Details: "Prints every complaint, one a line, and exits with 2 if there is one."},
		{Name: "config show", Settings: true, options: showOptions(),
			Summary: "Print each setting, its value and where it came from."},
		{Name: "raftlog inspect", Settings: true,
			Summary: "Print what the raft log of a stopped server holds.",
			Details: `Reads data-dir, and changes nothing. Exits with 5 if the log is damaged, and says
where. A damaged member of a cluster is best replaced by a fresh one.`},
		{Name: "raftlog cut", Operands: "place", Settings: true,
			Summary: "Drop what lies behind the damage of a raft log, for good.",
			Details: `For a cluster of one member, when there is no backup. Writes that were
acknowledged are lost. The place is the one that copse raftlog inspect names. If
the store turns out to hold more than the log does now, start the server once with
force-new-cluster.`},
		{Name: "version",
			Summary: "Print the versions of copse, of Go, and of the etcd that it answers like."},
		{Name: "completion", Operands: strings.Join(shells(), "|"), choices: shells(),
			Summary: "Print a completion script for a shell.",
			Details: `bash:  source <(copse completion bash)
zsh:   copse completion zsh > "${fpath[1]}/_copse"
fish:  copse completion fish > ~/.config/fish/completions/copse.fish`},
		{Name: "help", Operands: "[command]", choices: firstWords(),
			Summary: "Print the help, or that of one command."},
	}
}

func shells() []string { return []string{"bash", "zsh", "fish"} }

// firstWords are the words that a command line can begin with. It stands
// apart from Commands, which needs it.
func firstWords() []string {
	return []string{"serve", "health", "config", "raftlog", "version", "completion", "help"}
}

func healthOptions() []setting {
	return []setting{
		{"quiet", "true|false", "Print nothing; the exit code says it all.", "",
			boolean(func(c *Config) *bool { return &c.Options.Quiet })},
		{"endpoint", "url", "Ask this address instead: /health, unless the URL has a path.", "from the settings",
			bind(func(c *Config) *string { return &c.Options.Endpoint }, parseEndpoint, func(s string) string { return s })},
		{"timeout", "duration", "How long the answer may take.", "",
			duration(func(c *Config) *time.Duration { return &c.Options.Timeout })},
	}
}

func showOptions() []setting {
	return []setting{
		{"json", "true|false", "Print JSON: an array of settings, with strings for values.", "",
			boolean(func(c *Config) *bool { return &c.Options.JSON })},
	}
}

// FindCommand takes the command off the arguments, and returns what is left.
// Where there is none, it is serve.
func FindCommand(args []string) (Command, []string, error) {
	commands := Commands()
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return commands[0], args, nil
	}
	for words := min(2, len(args)); words > 0; words-- {
		name := strings.Join(args[:words], " ")
		if i := slices.IndexFunc(commands, func(c Command) bool { return c.Name == name }); i >= 0 {
			return commands[i], args[words:], nil
		}
	}
	var names []string
	for _, c := range commands {
		if strings.HasPrefix(c.Name, args[0]+" ") && (len(args) == 1 || strings.HasPrefix(args[1], "-")) {
			names = append(names, "copse "+c.Name)
		}
	}
	if len(names) > 0 {
		return Command{}, nil, fmt.Errorf("copse %s needs one more word: %s", args[0], strings.Join(names, ", "))
	}
	return Command{}, nil, unknownCommand(args, commands)
}

// unknownCommand names the command that is nearest to the words given.
func unknownCommand(args []string, commands []Command) error {
	best, least := commands[0].Name, -1
	for _, c := range commands {
		words := min(1+strings.Count(c.Name, " "), len(args))
		if d := distance(strings.Join(args[:words], " "), c.Name); least < 0 || d < least {
			best, least = c.Name, d
		}
	}
	return fmt.Errorf("%q is not a command; the nearest one is copse %s (copse help lists them)", args[0], best)
}
