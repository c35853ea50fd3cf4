package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"text/tabwriter"
	"time"

	"copse/config"
	"copse/httpfront"
)

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	began := time.Now()
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	command, rest, err := config.FindCommand(args)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	c, warnings, err := config.Load(config.Sources{
		Command: command, Args: rest, Environ: environ, Hostname: host, ReadFile: readSettings,
	})
	switch {
	case errors.Is(err, config.ErrHelp):
		fmt.Fprint(stdout, config.Help(command))
		return 0
	case c.Version:
		fmt.Fprintln(stdout, "copse", version)
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	switch command.Name {
	case "health":
		return runHealth(ctx, &c, stdout, stderr)
	case "config check":
		return checkConfig(&c, warnings, stdout, stderr)
	case "config show":
		return showConfig(&c, stdout)
	case "raftlog inspect", "raftlog cut":
		return runRaftlog(command.Name, &c, stdout, stderr)
	case "version":
		return showVersion(stdout)
	case "completion":
		return showCompletion(c.Options.Operands, stdout, stderr)
	case "help":
		return showHelp(c.Options.Operands, stdout, stderr)
	}
	if err := preflight(&c); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	return runServer(ctx, &c, warnings, host, stderr, began)
}

// settingsLimit bounds a file of settings: more can't be meant.
const settingsLimit = 1 << 20

func readSettings(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, settingsLimit+1))
	if len(b) > settingsLimit {
		err = fmt.Errorf("%s is larger than %d bytes", path, settingsLimit)
	}
	return b, err
}

// preflight complains about what keeps a server from being tried at all.
func preflight(c *config.Config) error {
	return c.CheckFiles(readSettings)
}

// checkConfig says what starting would say of the settings.
func checkConfig(c *config.Config, warnings []string, stdout, stderr io.Writer) int {
	for _, w := range warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	if err := preflight(c); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	fmt.Fprintln(stdout, "the settings can be followed")
	return 0
}

// showConfig prints each setting and where it came from.
func showConfig(c *config.Config, stdout io.Writer) int {
	if c.Options.JSON {
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(c.Values()) // to a closed pipe, there is nobody to tell
		return 0
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
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

// stamp is the commit, where the build is told it rather than finding a
// repository: the Dockerfile's has none. The linker sets it, and nobody else.
var stamp string

// revision is the commit that this was built from, as far as the build says.
func revision() string {
	if stamp != "" {
		return stamp
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		setting := func(key string) string {
			i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == key })
			if i < 0 {
				return ""
			}
			return info.Settings[i].Value
		}
		if r := setting("vcs.revision"); r != "" {
			r += " of " + setting("vcs.time")
			if setting("vcs.modified") == "true" {
				r += ", with changes"
			}
			return r
		}
	}
	return "not recorded in this build"
}

func showVersion(stdout io.Writer) int {
	fmt.Fprintf(stdout, "copse     %s\nrevision  %s\nbuilt by  %s for %s/%s\nanswers   like etcd %s\n",
		version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH, httpfront.EtcdVersion)
	return 0
}

func showCompletion(operands []string, stdout, stderr io.Writer) int {
	if len(operands) == 1 {
		if script, err := config.Completion(operands[0]); err == nil {
			fmt.Fprint(stdout, script)
			return 0
		}
	}
	fmt.Fprintln(stderr, "copse completion needs the name of one shell: bash, zsh or fish")
	return exitUsage
}

func showHelp(operands []string, stdout, stderr io.Writer) int {
	command, rest, err := config.FindCommand(operands)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("copse help takes one command, and %q is too much", rest[0])
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	fmt.Fprint(stdout, config.Help(command))
	return 0
}
