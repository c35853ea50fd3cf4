package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"copse/config/cli"
)

// Command is one of copse's commands.
type Command struct {
	Name     string // one word or two, as typed
	Operands string // the words after it, for the help
	Summary  string // one line
	Details  string // paragraphs
	// Settings: the command takes all settings too. Others read neither the
	// environment nor a file.
	Settings bool

	// Client: the command speaks to a server, and package cli parses its line.
	Client bool

	choices []string // possible operands
	keys    bool     // the first operand is a key of the tree
	options []setting
}

// Options are for single commands. They are set by flags only.
type Options struct {
	Quiet    bool
	Endpoint string
	Timeout  time.Duration
	JSON     bool
	Operands []string
	Line     *cli.Command // of a client's command; nil for others

	PasswordFile string // with the password of root; empty: it comes from elsewhere

	Stale   bool // of a backup: of this member alone
	Restore Restore
	Import  Import
	Mirror  Mirror
}

// Commands lists all commands, in the order of the help.
func Commands() []Command {
	return slices.Concat(serverCommands(), backupCommands(), mirrorCommands(), clientCommands(), otherCommands())
}

// serverCommands start a server or ask one.
func serverCommands() []Command {
	return []Command{
		{Name: "serve", Settings: true,
			Summary: "Start the server. The default command."},
		{Name: "health", Settings: true, options: healthOptions(),
			Summary: "Check the server on this machine: exit code 0 if it is healthy, 1 if not.",
			Details: `Takes the settings of copse serve, and so finds a server that was started with
the same environment or file. It requests /readyz from the operations port if
listen-metrics-urls is set, otherwise /health from the client port, because the
default operations port may belong to another server on the same machine. If
there are several URLs, one without TLS is preferred.

On loopback, any certificate of an https port is accepted, as few certificates
name 127.0.0.1: nothing secret is sent, and whoever can listen there controls
this machine already. Elsewhere the certificate must be signed by an authority
of trusted-ca-file or of the system. A server that requires a client certificate
gets that of cert-file.`},
		{Name: "auth init", Settings: true, options: authInitOptions(),
			Summary: "Make the user root, and enable auth with it, in one step.",
			Details: `Takes root's password from password-file, otherwise from the variable
COPSE_ROOT_PASSWORD, otherwise from the terminal, where it asks twice. It never is
an argument, which others on the machine could see. From then on, whoever has no
password may read and change nothing. Refused if auth is enabled or there is a
user root.

Takes the settings of copse serve, and so finds a server that was started with
the same environment or file; COPSE_ENDPOINTS, if it is one URL, names another. The
password goes over https, with a certificate that is verified by the authorities of
trusted-ca-file or of the system, or to an address of this machine. The exit code
is 1 if the server refuses or can't be reached, 2 if there is no password or it
would cross a network unencrypted.`},
	}
}

func otherCommands() []Command {
	return []Command{
		{Name: "config check", Settings: true,
			Summary: "Check the settings and the certificates without starting.",
			Details: "Prints all problems, one a line; the exit code is 2 if there are any."},
		{Name: "config show", Settings: true, options: showOptions(),
			Summary: "Print each setting, its value and where it came from."},
		importCommand(),
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
			Summary: "Print the versions of copse, of Go, and of the etcd whose API it serves."},
		{Name: "licenses",
			Summary: "Print the licences of copse and of everything that is linked into it."},
		{Name: "completion", Operands: strings.Join(shells(), "|"), choices: shells(),
			Summary: "Print a completion script for a shell.",
			Details: `bash:  source <(copse completion bash)
zsh:   copse completion zsh > "${fpath[1]}/_copse"
fish:  copse completion fish > ~/.config/fish/completions/copse.fish`},
		{Name: "help", Operands: "[command]", choices: firstWords(),
			Summary: "Print this help, or the help of one command."},
	}
}

func shells() []string { return []string{"bash", "zsh", "fish"} }

// firstWords are the words that a command line can begin with. Commands needs them,
// and so can't be where they come from.
func firstWords() []string {
	words := []string{"serve", "health", "auth", "backup", "restore", "export", "verify", "inspect", "diff", "mirror"}
	for _, e := range cli.Entries() {
		words = append(words, strings.Fields(e.Name)[0])
	}
	words = append(words, "config", "import", "raftlog", "version", "licenses", "completion", "help")
	seen := map[string]bool{}
	return slices.DeleteFunc(words, func(w string) bool {
		again := seen[w]
		seen[w] = true
		return again
	})
}

func healthOptions() []setting {
	return []setting{
		{"quiet", "true|false", "Print nothing, only set the exit code.", "",
			boolean(func(c *Config) *bool { return &c.Options.Quiet })},
		endpoint("URL to request instead; /health if it has no path.", fromSettings),
		{"timeout", "duration", "Timeout of the request.", "",
			duration(func(c *Config) *time.Duration { return &c.Options.Timeout })},
	}
}

func authInitOptions() []setting {
	return []setting{
		passwordFile(),
		server(),
	}
}

const fromSettings = "from the settings"

// server is the server that a command asks; see AuthInitURL.
func server() setting {
	return endpoint("URL of the server.", "COPSE_ENDPOINTS, or "+fromSettings)
}

func endpoint(usage, absent string) setting {
	return setting{"endpoint", "url", usage, absent,
		bind(func(c *Config) *string { return &c.Options.Endpoint }, parseEndpoint, func(s string) string { return s })}
}

func showOptions() []setting {
	return []setting{
		{"json", "true|false", "Print a JSON array of settings, with all values as strings.", "",
			boolean(func(c *Config) *bool { return &c.Options.JSON })},
	}
}

// FindCommand finds the command in the arguments, and returns the rest of them, or all for a
// client's. The default is serve.
func FindCommand(args []string) (Command, []string, error) {
	name, stray := cli.Find(args)
	if name != "" {
		return Command{Name: name, Client: true}, args, nil // flags may precede the name
	}
	if stray != "" {
		return Command{}, nil, unknownCommand([]string{stray}, Commands())
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return serverCommands()[0], args, nil
	}
	commands := Commands()
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
		return Command{}, nil, fmt.Errorf("copse %s needs a subcommand: %s", args[0], strings.Join(names, ", "))
	}
	return Command{}, nil, unknownCommand(args, commands)
}

// unknownCommand names the command that is nearest to the words given.
func unknownCommand(args []string, commands []Command) error {
	best, least := commands[0].Name, -1
	for _, c := range commands {
		names := strings.Fields(c.Name)
		words := min(len(names), len(args))
		name := strings.Join(names[:words], " ")
		if d := cli.Distance(strings.Join(args[:words], " "), name); least < 0 || d < least {
			best, least = name, d
		}
	}
	return fmt.Errorf("unknown command %s; did you mean copse %s? (copse help lists all)", cli.Quote(args[0]), best)
}
