package config

import (
	"errors"
	"fmt"
	"strings"
)

// ErrHelp is what Load returns when help is asked for; Help has it.
var ErrHelp = errors.New("help is asked for")

// Sources is where a Config comes from.
type Sources struct {
	Command  Command  // what it is for
	Args     []string // what followed the command's name
	Environ  []string // as os.Environ gives it
	Hostname string   // stands in for the wildcard addresses that can't be advertised
	ReadFile func(path string) ([]byte, error)
}

// given is a text that somebody gave for a flag, and where.
type given struct {
	text   string
	rank   int
	origin string // as Origin says it
	name   string // as a complaint calls it
}

// Who wins over whom.
const (
	rankImage = iota
	rankFile
	rankEtcd
	rankCopse
	rankFlag
)

// texts has what was given, by flag.
type texts map[string]given

// put keeps what ranks higher, and of equals the last.
func (t texts) put(flag string, g given) {
	if old, ok := t[flag]; !ok || g.rank >= old.rank {
		t[flag] = g
	}
}

// Load reads the sources. It returns warnings of one line each. The error
// holds every complaint, one a line, or is ErrHelp. A Config that asks for the
// version, or that is for a command without settings, has not been checked
// further.
func Load(src Sources) (Config, []string, error) {
	c := Default()
	c.origins = map[string]string{}
	collected := texts{}
	operands, complaints := collected.addArgs(src.Args, &src.Command)
	if helpAsked(complaints) {
		return c, nil, ErrHelp
	}
	c.Options.Operands = operands
	complaints = append(complaints, stray(&src.Command, operands)...)
	if asked, ok := collected["version"]; ok && asked.text != "false" && len(complaints) == 0 {
		c.Version = true
		return c, nil, nil
	}
	complaints = append(complaints, c.fill(src.Command.options, collected)...)
	if !src.Command.Settings {
		return c, nil, errors.Join(complaints...)
	}
	warnings, more := c.load(collected, &src)
	return c, warnings, errors.Join(append(complaints, more...)...)
}

// load reads the settings that follow the arguments' in rank, and checks all.
func (c *Config) load(collected texts, src *Sources) (warnings []string, complaints []error) {
	unknown := collected.addEnvironment(src.Environ)
	complaints = append(complaints, collected.addFile(src.ReadFile)...)
	complaints = append(complaints, collected.resolveAliases()...)
	complaints = append(complaints, c.fill(settings(), collected)...)
	meaningless, refusals := sortForeign(collected)
	complaints = append(complaints, refusals...)

	if len(unknown) > 0 {
		warnings = append(warnings, "these variables are not known, and ignored: "+strings.Join(unknown, ", "))
	}
	if len(meaningless) > 0 {
		warnings = append(warnings, "these settings of etcd have no meaning here, and are ignored: "+strings.Join(meaningless, ", "))
	}
	warnings = append(warnings, c.derive(src.Hostname)...)
	complaints = append(complaints, c.validate()...)
	return warnings, complaints
}

// fill sets the fields of the rows that a text was given for.
func (c *Config) fill(rows []setting, collected texts) (complaints []error) {
	for _, s := range rows {
		g, ok := collected[s.flag]
		if !ok || g.text == "" && !s.empty {
			continue
		}
		if err := s.set(c, g.text); err != nil {
			// The default stays, so that one mistake makes one complaint.
			complaints = append(complaints, about(g.name, err)...)
			continue
		}
		c.origins[s.flag] = g.origin
	}
	return complaints
}

// about puts the name of a setting before each line of err.
func about(name string, err error) []error {
	var list []error
	for _, line := range strings.Split(err.Error(), "\n") {
		list = append(list, fmt.Errorf("%s: %s", name, line))
	}
	return list
}

// knownFlags lists what a setting may be called, here or by etcd.
func knownFlags() []string {
	var list []string
	for _, s := range settings() {
		list = append(list, s.flag)
	}
	for _, a := range aliases() {
		list = append(list, a.flag)
	}
	for _, f := range foreigners() {
		list = append(list, f.flag)
	}
	return list
}
