package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ErrHelp is the error of Parse for a line that asks for help.
var ErrHelp = errors.New("help requested")

// Command is a parsed line.
type Command struct {
	Name string // as typed, one word or two
	Global
	// Args points to the command's struct in Line, such as *Get.
	Args any
}

// grammar makes the parser, whose values go into line, and takes its variables out: they
// are read from the environment that Parse is handed.
func grammar(line *Line) (*kong.Kong, map[*kong.Flag][]string) {
	k, err := kong.New(line, kong.Name("copse"), kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard),
		kong.KindMapper(reflect.String, kong.MapperFunc(verbatim)))
	if err != nil {
		panic(err) // a wrong tag: every test would find it
	}
	variables := map[*kong.Flag][]string{}
	for _, f := range k.Model.Flags {
		variables[f] = f.Envs
	}
	for _, c := range k.Model.Leaves(false) {
		for _, f := range c.Flags {
			variables[f] = f.Envs
		}
	}
	return k, variables
}

// verbatim takes a word as it is. kong's own way is through JSON, which changes bytes that
// aren't UTF-8.
func verbatim(from *kong.DecodeContext, to reflect.Value) error {
	token, err := from.Scan.PopValue("text")
	if err == nil {
		text, _ := token.Value.(string)
		to.SetString(text)
	}
	return err
}

// Parse parses a command line of which Find has said that it is one.
func Parse(args, environ []string) (*Command, error) {
	line := new(Line)
	k, variables := grammar(line)
	w, err := arrange(k, args)
	if err != nil {
		return nil, err
	}
	given := environment(environ)
	for f, names := range variables {
		f.Tag.Envs = nil
		f.Value.Tag.Envs = nil
		for _, name := range names {
			if text := given[name]; text != "" && !w.has(f) {
				w.flags = append(w.flags, word(f, text))
				break
			}
		}
	}
	parsed, err := k.Parse(w.line())
	if err != nil {
		text := withoutPasswords(err.Error())
		if missing, ok := strings.CutPrefix(text, "expected "); ok {
			text = "missing: " + strings.Trim(missing, `"`)
		}
		return nil, fmt.Errorf("%s (see copse help %s)", text, w.name())
	}
	if err := line.settle(given); err != nil {
		return nil, err
	}
	return &Command{Name: w.name(), Global: line.Global, Args: parsed.Selected().Target.Addr().Interface()}, nil
}

func environment(environ []string) map[string]string {
	given := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		given[name] = text
	}
	return given
}

// settle makes Endpoints of its older names.
func (l *Line) settle(given map[string]string) error {
	named := given["COPSE_ENDPOINTS"] + given["ETCDCTL_ENDPOINTS"] + given["ETCDCTL_ENDPOINT"]
	switch {
	case l.Endpoint != "":
		l.Endpoints = l.Endpoint
	case l.Peers != "" && (named == "" || l.Peers != given["ETCDCTL_PEERS"]):
		l.Endpoints = l.Peers
		for i, p := range strings.Split(l.Peers, ",") {
			if i == 0 {
				l.Endpoints = ""
			}
			if !strings.Contains(p, "://") {
				p = "http://" + p
			}
			l.Endpoints = strings.TrimPrefix(l.Endpoints+","+p, ",")
		}
	}
	if (l.CertFile == "") != (l.KeyFile == "") {
		return errors.New("--cert-file and --key-file go together: give both, or neither")
	}
	return nil
}

// words is a line taken apart.
type words struct {
	path     []*kong.Node // the command's
	flags    []string     // in kong's form
	seen     []*kong.Flag
	operands []string
}

func (w *words) has(f *kong.Flag) bool { return slices.Contains(w.seen, f) }

func (w *words) name() string {
	var names []string
	for _, n := range w.path {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

// line returns the line in the form that kong parses.
func (w *words) line() []string {
	return slices.Concat(strings.Fields(w.name()), w.flags, []string{"--"}, w.operands)
}

func word(f *kong.Flag, value string) string { return "--" + f.Name + "=" + value }

// arrange takes a line apart as etcdctl does.
func arrange(k *kong.Kong, args []string) (*words, error) {
	w, node := &words{}, k.Model.Node
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch f, value, joined := flagOf(k, node, arg); {
		case arg == "--" && len(w.path) > 0:
			if separates(node) && len(w.operands) > 0 {
				w.operands = append(w.operands, arg)
			}
			w.operands = append(w.operands, args[i+1:]...)
			return w, w.complete(node)
		case f != nil && !(takesValue(node) && len(w.operands) > 0 && slices.Contains(k.Model.Flags, f)):
			if !joined && !f.IsBool() {
				if i++; i == len(args) {
					return nil, fmt.Errorf("%s needs a value", arg)
				}
				value = args[i]
			} else if !joined {
				value = "true"
			}
			w.seen, w.flags = append(w.seen, f), append(w.flags, word(f, value))
		case len(w.operands) == 0 && (arg == "-h" || arg == "--help" || arg == "-help"):
			return w, ErrHelp
		case len(w.operands) == 0 && len(arg) > 1 && arg[0] == '-':
			name, _, _ := strings.Cut(arg, "=") // the value may have a password in it
			return nil, fmt.Errorf("unknown flag %s; did you mean --%s? (a value that begins with - follows --)", name, nearest(arg, k, node))
		case len(node.Children) > 0:
			c := child(node, arg)
			if c == nil {
				return nil, fmt.Errorf("unknown command %q", withoutPasswords(strings.TrimSpace(w.name()+" "+arg)))
			}
			node = c
			w.path = append(w.path, c)
		default:
			w.operands = append(w.operands, arg)
			if _, lock := node.Target.Addr().Interface().(*Lock); lock && len(w.operands) > 1 {
				w.operands = append(w.operands, args[i+1:]...) // the flags of the command to run are its own
				return w, nil
			}
		}
	}
	return w, w.complete(node)
}

// complete reports a group without its command.
func (w *words) complete(node *kong.Node) error {
	if len(node.Children) == 0 {
		return nil
	}
	var names []string
	for _, c := range node.Children {
		names = append(names, "copse "+strings.TrimSpace(w.name()+" "+c.Name))
	}
	return fmt.Errorf("copse %s needs a subcommand: %s", w.name(), strings.Join(names, ", "))
}

func child(node *kong.Node, name string) *kong.Node {
	i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return node.Children[i]
}

// separates reports whether a -- among the operands has a meaning.
func separates(node *kong.Node) bool {
	_, ok := node.Target.Addr().Interface().(*ExecWatch)
	return ok
}

// takesValue reports whether an operand of a command may be any text, and so look like a
// flag of all commands.
func takesValue(node *kong.Node) bool {
	return slices.ContainsFunc(node.Positional, func(p *kong.Value) bool { return p.Name == "value" })
}

// flagOf finds a flag that is written with one dash or two.
func flagOf(k *kong.Kong, node *kong.Node, arg string) (f *kong.Flag, value string, joined bool) {
	name, ok := strings.CutPrefix(arg, "-")
	if !ok {
		return nil, "", false
	}
	name = strings.TrimPrefix(name, "-")
	name, value, joined = strings.Cut(name, "=")
	for _, f := range slices.Concat(node.Flags, k.Model.Flags) {
		if name == f.Name || slices.Contains(f.Aliases, name) || len(name) == 1 && rune(name[0]) == f.Short {
			return f, value, joined
		}
	}
	return nil, "", false
}

// Find returns the name of the command if the arguments are a line for Parse: flags of all
// commands, and then that name. Otherwise it returns "", and the word that stands in the
// name's place if the flags before it are of these commands only.
func Find(args []string) (name, stray string) {
	if !slices.ContainsFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") }) {
		return "", "" // without the time to make the grammar, as at the start of a server
	}
	k, _ := grammar(new(Line))
	node, sure := k.Model.Node, false
	for i := 0; i < len(args); i++ {
		f, _, joined := flagOf(k, node, args[i])
		switch {
		case f != nil:
			sure = sure || !shared(f.Name)
			if !joined && !f.IsBool() {
				i++
			}
		case strings.HasPrefix(args[i], "-") && sure: // Parse complains of it
		case child(node, args[i]) == nil:
			if sure && node == k.Model.Node {
				stray = args[i]
			}
			return group(node), stray
		default:
			if node = child(node, args[i]); len(node.Children) == 0 {
				return strings.TrimPrefix(node.FullPath(), "copse "), ""
			}
		}
	}
	return group(node), ""
}

// shared reports whether copse serve has a flag of the same name.
func shared(flag string) bool {
	return slices.Contains([]string{"cert-file", "key-file", "ca-file", "debug"}, flag)
}

// group is the name of the group that a line has got to, for Parse to complain of the rest. Package
// config has a command copse auth init.
func group(node *kong.Node) string {
	if node.Type == kong.ApplicationNode || node.Name == "auth" {
		return ""
	}
	return node.Name
}

// Variables are the names of the environment that the commands read, with COPSE_ before them.
func Variables() []string {
	_, variables := grammar(new(Line))
	var names []string
	for list := range maps.Values(variables) {
		for _, name := range list {
			if strings.HasPrefix(name, "COPSE_") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
