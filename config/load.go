package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"copse/config/cli"
)

// ErrHelp is the error of Load for a command line that asks for help; see Help.
var ErrHelp = cli.ErrHelp

// Sources are where a Config comes from, and what bounds it.
type Sources struct {
	Command  Command  // what it is for
	Args     []string // what followed the command's name
	Environ  []string // as os.Environ gives it
	Hostname string   // stands in for the wildcard addresses that can't be advertised
	ReadFile func(path string) ([]byte, error)
	// MaxShards is the largest number of shards that the tree can be divided into.
	MaxShards int
	// CacheSize is the default of cache-size, which follows from the memory that there is.
	CacheSize int64
}

// given is the value of a setting as text, and where it was set.
type given struct {
	text   string
	rank   int
	origin string // as Origin says it
	name   string // as a complaint calls it
}

// The order of precedence, lowest first.
const (
	rankImage = iota
	rankFile
	rankEtcd
	rankCopse
	rankFlag
)

// texts has all values that are set, by flag.
type texts map[string]given

// put keeps the value of higher rank, and of equals the last.
func (t texts) put(flag string, g given) {
	if old, ok := t[flag]; !ok || g.rank >= old.rank {
		t[flag] = g
	}
}

// Load reads the sources. It returns warnings of one line each. The error lists
// every problem, one a line, or is ErrHelp. If the version is asked for, or the
// command takes no settings, Load checks nothing else.
func Load(src Sources) (Config, []string, error) {
	c := Default()
	c.origins = map[string]string{}
	if src.Command.Client {
		line, err := cli.Parse(src.Args, src.Environ)
		c.Options.Line = line
		return c, nil, err
	}
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
	if src.Command.Name != "health" { // a probe, of this server
		collected.addEndpoint(src.Environ)
	}
	complaints = append(complaints, c.fill(src.Command.options, collected)...)
	if !src.Command.Settings {
		return c, nil, errors.Join(complaints...)
	}
	warnings, more := c.load(collected, &src)
	return c, warnings, errors.Join(append(complaints, more...)...)
}

// load reads the sources that rank below the arguments, and checks everything.
func (c *Config) load(collected texts, src *Sources) (warnings []string, complaints []error) {
	unknown := collected.addEnvironment(src.Environ)
	complaints = append(complaints, collected.addFile(src.ReadFile)...)
	complaints = append(complaints, collected.resolveAliases()...)
	complaints = append(complaints, c.fill(settings(), collected)...)
	meaningless, refusals := sortForeign(collected)
	complaints = append(complaints, refusals...)

	if len(unknown) > 0 {
		warnings = append(warnings, "unknown environment variables are ignored: "+strings.Join(unknown, ", "))
	}
	if len(meaningless) > 0 {
		warnings = append(warnings, "these etcd settings have no effect here and are ignored: "+strings.Join(meaningless, ", "))
	}
	warnings = append(warnings, c.derive(src)...)
	complaints = append(complaints, c.validate(src.MaxShards)...)
	slices.SortStableFunc(complaints, func(a, b error) int { return cmp.Compare(collected.fileLine(a), collected.fileLine(b)) })
	return warnings, complaints
}

// fileLine is the line of the file that a complaint is about; if it is about something else, it comes last.
func (t texts) fileLine(complaint error) int {
	text, about := strings.CutPrefix(complaint.Error(), t["config-file"].text+":")
	line, _, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(line)
	if !about || err != nil {
		return math.MaxInt
	}
	return n
}

// fill sets the fields of the rows that have a value.
func (c *Config) fill(rows []setting, collected texts) (complaints []error) {
	for _, s := range rows {
		g, ok := collected[s.flag]
		if !ok || g.text == "" && !s.empty {
			continue
		}
		if err := s.set(c, g.text); err != nil {
			// The default stays, so that one mistake is reported once.
			complaints = append(complaints, about(g.name, err)...)
			continue
		}
		c.origins[s.flag] = g.origin
	}
	return complaints
}

// about prefixes each line of err with the name of a setting.
func about(name string, err error) []error {
	var list []error
	for _, line := range strings.Split(err.Error(), "\n") {
		list = append(list, fmt.Errorf("%s: %s", name, line))
	}
	return list
}

// knownFlags lists the names of all settings, copse's own and etcd's.
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
