package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrHelp is what Load returns when help is asked for; Help has it.
var ErrHelp = errors.New("help is asked for")

// given is a text that somebody gave for a flag, and where.
type given struct {
	text   string
	origin string // as Origin says it
	name   string // as a complaint calls it
}

// Load reads the arguments (without the program's name) and the environment
// (as os.Environ gives it); hostname stands in for the wildcard addresses that
// can't be advertised. It returns warnings of one line each. The error holds
// every complaint, one a line, or is ErrHelp. A Config that asks for the version
// has not been checked further.
func Load(args, environ []string, hostname string) (Config, []string, error) {
	c := Default()
	c.origins = map[string]string{}

	texts, complaints := parseArgs(args)
	if slices.ContainsFunc(complaints, func(err error) bool { return errors.Is(err, flag.ErrHelp) }) {
		return c, nil, ErrHelp
	}
	if asked, ok := texts["version"]; ok && asked.text != "false" && len(complaints) == 0 {
		c.Version = true
		return c, nil, nil
	}
	unknown := addEnvironment(texts, environ)

	for _, s := range settings() {
		g, ok := texts[s.flag]
		if !ok || g.text == "" {
			continue // as with etcd, empty is not set
		}
		if err := s.set(&c, g.text); err != nil {
			// The default stays, so that one mistake makes one complaint.
			complaints = append(complaints, about(g.name, err)...)
			continue
		}
		c.origins[s.flag] = g.origin
	}
	meaningless, refusals := sortForeign(texts)
	complaints = append(complaints, refusals...)

	var warnings []string
	if len(unknown) > 0 {
		warnings = append(warnings, "these variables are not known, and ignored: "+strings.Join(unknown, ", "))
	}
	if len(meaningless) > 0 {
		warnings = append(warnings, "these settings of etcd have no meaning here, and are ignored: "+strings.Join(meaningless, ", "))
	}
	warnings = append(warnings, c.derive(hostname)...)
	complaints = append(complaints, c.validate()...)
	return c, warnings, errors.Join(complaints...)
}

// about puts the name of a setting before each line of err.
func about(name string, err error) []error {
	var list []error
	for _, line := range strings.Split(err.Error(), "\n") {
		list = append(list, fmt.Errorf("%s: %s", name, line))
	}
	return list
}

// parseArgs collects what the arguments give, by flag; the last one wins.
func parseArgs(args []string) (map[string]given, []error) {
	texts := map[string]given{}
	set := flag.NewFlagSet("copse", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	record := func(name string) func(string) error {
		return func(text string) error {
			texts[name] = given{text: text, origin: "flag", name: "--" + name}
			return nil
		}
	}
	var known []string
	for _, s := range settings() {
		known = append(known, s.flag)
		set.Func(s.flag, "", record(s.flag))
	}
	for _, f := range foreigners() {
		known = append(known, f.flag)
		if f.boolean {
			set.BoolFunc(f.flag, "", record(f.flag))
		} else {
			set.Func(f.flag, "", record(f.flag))
		}
	}
	known = append(known, "version", "help")
	set.BoolFunc("version", "", record("version"))

	var complaints []error
	for {
		err := set.Parse(args)
		if err == nil {
			break
		}
		rest := set.Args()
		if strings.HasPrefix(err.Error(), "bad flag syntax") {
			// Only then does Parse leave the culprit where it was.
			complaints = append(complaints, misuse(err, rest[0], known))
			args = rest[1:]
			continue
		}
		complaints = append(complaints, misuse(err, args[len(args)-len(rest)-1], known))
		args = rest
		if errors.Is(err, flag.ErrHelp) {
			return texts, complaints
		}
		// Whether the next one was meant as its value, nobody can tell.
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			args = args[1:]
		}
	}
	if stray := set.Args(); len(stray) > 0 {
		complaints = append(complaints, fmt.Errorf("%q is not a flag; settings are given as --flag=value", stray[0]))
	}
	return texts, complaints
}

// misuse words the flag package's complaint about one argument.
func misuse(err error, culprit string, known []string) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	name, _, _ := strings.Cut(strings.TrimLeft(culprit, "-"), "=")
	if strings.HasPrefix(err.Error(), "flag needs an argument") {
		return fmt.Errorf("--%s needs a value", name)
	}
	return fmt.Errorf("%s is not a known flag; the nearest one is --%s", culprit, nearest(name, known))
}

// addEnvironment fills in what no flag gave, and returns the variables that
// look like ours or etcd's and are not.
func addEnvironment(texts map[string]given, environ []string) (unknown []string) {
	variables := map[string]string{}
	for _, s := range settings() {
		variables[variable(s.flag)] = s.flag
	}
	for _, f := range foreigners() {
		variables[variable(f.flag)] = f.flag
	}
	found := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "COPSE_") || strings.HasPrefix(name, "ETCD_") {
			found[name] = text
		}
	}
	for _, prefix := range []string{"COPSE_", "ETCD_"} {
		for suffix, name := range variables {
			text := found[prefix+suffix]
			delete(found, prefix+suffix)
			if _, taken := texts[name]; !taken && text != "" {
				variable := prefix + suffix
				texts[name] = given{text: text, origin: "environment " + variable, name: variable}
			}
		}
	}
	for name := range found {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return unknown
}

// variable is the environment's name for a flag, without its prefix.
func variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// sortForeign names the flags of etcd that were given and mean nothing, and
// complains about those that must not be dropped.
func sortForeign(texts map[string]given) (meaningless []string, complaints []error) {
	for _, f := range foreigners() {
		g, ok := texts[f.flag]
		switch {
		case !ok:
		case f.objects(g.text):
			complaints = append(complaints, fmt.Errorf("%s: %s", g.name, f.refused))
		case f.refused == "":
			meaningless = append(meaningless, g.name)
		}
	}
	slices.Sort(meaningless)
	return meaningless, complaints
}

// nearest returns the known name with the fewest letters to change.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int {
		return distance(name, a) - distance(name, b)
	})
}

// distance is Levenshtein's, in one row.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
