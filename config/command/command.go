package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"copse/config"
	"copse/config/build"
)

// Line is what the program was started with.
type Line struct {
	Args, Environ []string
	Like          string // the version of etcd that copse answers like
	MaxShards     int    // that the tree can be divided into
	CacheSize     int64  // that suits the machine
	Stdout        io.Writer
	Stderr        io.Writer
}

// Work is what is left for main.
type Work struct {
	Command  string // serve, or a command of package dispatch
	Config   config.Config
	Hostname string
	Warnings []string // one line each
	Server   *url.URL // that health, auth init and backup ask; nil for the others
}

// Run reads the line and carries out its command. It returns nil and the exit code
// if that was all, otherwise the work that is left.
func Run(l Line) (*Work, int) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	command, rest, err := config.FindCommand(l.Args)
	if err != nil {
		return nil, l.refuse(err)
	}
	c, warnings, err := config.Load(config.Sources{
		Command: command, Args: rest, Environ: l.Environ, Hostname: host, ReadFile: readFile, MaxShards: l.MaxShards, CacheSize: l.CacheSize,
	})
	switch {
	case errors.Is(err, config.ErrHelp):
		fmt.Fprint(l.Stdout, config.Help(command))
		return nil, 0
	case c.Version:
		fmt.Fprintln(l.Stdout, "copse", build.Version)
		return nil, 0
	case err != nil && command.Client:
		l.refuse(err)
		return nil, config.ExitFailed // as etcdctl
	case err != nil:
		return nil, l.refuse(err)
	case command.Client:
		return &Work{Command: command.Name, Config: c, Hostname: host}, 0
	}
	switch command.Name {
	case "health":
		return &Work{Command: command.Name, Config: c, Hostname: host, Server: c.HealthURL()}, 0
	case "auth init", "mirror status", "mirror promote":
		return &Work{Command: command.Name, Config: c, Hostname: host, Server: c.AuthInitURL()}, 0
	case "raftlog inspect", "import":
		return &Work{Command: command.Name, Config: c, Hostname: host}, 0
	case "backup", "restore", "export", "verify", "inspect", "diff":
		return l.aboutFiles(&Work{Command: command.Name, Config: c, Hostname: host})
	case "raftlog cut":
		if len(c.Options.Operands) != 1 {
			return nil, l.refuse(errors.New("copse raftlog cut needs one place, as copse raftlog inspect names it"))
		}
		return &Work{Command: command.Name, Config: c, Hostname: host}, 0
	case "config check":
		return nil, l.checkConfig(&c, warnings)
	case "config show":
		return nil, l.showConfig(&c)
	case "version":
		return nil, l.showVersion()
	case "licenses":
		return nil, l.showLicenses()
	case "completion":
		return nil, l.showCompletion(c.Options.Operands)
	case "help":
		return nil, l.showHelp(c.Options.Operands)
	}
	if err := c.CheckFiles(readFile); err != nil {
		return nil, l.refuse(err)
	}
	return &Work{Command: "serve", Config: c, Hostname: host, Warnings: warnings}, 0
}

func (l *Line) refuse(err error) int {
	fmt.Fprintln(l.Stderr, err)
	return config.ExitUsage
}

// aboutFiles checks the operands of a command about backups.
func (l *Line) aboutFiles(w *Work) (*Work, int) {
	operands, want := w.Config.Options.Operands, 1
	switch w.Command {
	case "diff":
		want = 2
	case "backup":
		w.Server = w.Config.AuthInitURL()
	case "restore":
		if err := w.Config.CheckRestore(); err != nil {
			return nil, l.refuse(err)
		}
	}
	if len(operands) != want {
		return nil, l.refuse(fmt.Errorf("copse %s needs %d operands behind its flags, and has %d (see copse help %s)", w.Command, want, len(operands), w.Command))
	}
	return w, 0
}

// fileLimit bounds a configuration file and a certificate: larger ones are a mistake.
const fileLimit = 1 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if len(b) > fileLimit {
		err = fmt.Errorf("%s is larger than %d bytes", path, fileLimit)
	}
	return b, err
}

// checkConfig prints what a start would say of the settings.
func (l *Line) checkConfig(c *config.Config, warnings []string) int {
	for _, w := range warnings {
		fmt.Fprintln(l.Stderr, "warning:", w)
	}
	if err := c.CheckFiles(readFile); err != nil {
		return l.refuse(err)
	}
	fmt.Fprintln(l.Stdout, "configuration OK")
	return 0
}

// showConfig prints each setting and where it came from.
func (l *Line) showConfig(c *config.Config) int {
	if c.Options.JSON {
		e := json.NewEncoder(l.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(c.Values()) // nobody reads what can't be written
		return 0
	}
	w := tabwriter.NewWriter(l.Stdout, 0, 0, 2, ' ', 0)
	for _, v := range c.Values() {
		text := v.Text
		if text == "" {
			text = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Flag, text, v.Origin)
	}
	_ = w.Flush()
	return 0
}

func (l *Line) showVersion() int {
	fmt.Fprintf(l.Stdout, "copse     %s\nrevision  %s\nbuilt by  %s for %s/%s\nanswers   like etcd %s\n",
		build.Version, build.Revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH, l.Like)
	return 0
}

func (l *Line) showLicenses() int {
	if err := build.WriteLicenses(l.Stdout); err != nil {
		fmt.Fprintln(l.Stderr, err)
		return config.ExitFailed
	}
	return 0
}

func (l *Line) showCompletion(operands []string) int {
	if len(operands) == 1 {
		if script, err := config.Completion(operands[0]); err == nil {
			fmt.Fprint(l.Stdout, script)
			return 0
		}
	}
	return l.refuse(errors.New("copse completion needs the name of one shell: bash, zsh or fish"))
}

func (l *Line) showHelp(operands []string) int {
	command, rest, err := config.FindCommand(operands)
	if err == nil && command.Client { // whose rest is the whole line
		rest = rest[strings.Count(command.Name, " ")+1:]
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("copse help takes one command; %q is one too many", rest[0])
	}
	if err != nil {
		return l.refuse(err)
	}
	fmt.Fprint(l.Stdout, config.Help(command))
	return 0
}
