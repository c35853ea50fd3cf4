package cli

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"
)

// Entry describes a command, for the help, the completion and the reference of all.
type Entry struct {
	Name, Operands, Summary string
	Flags                   []Flag // its own, without those of all commands
	common                  []Flag
	Keys                    bool // its first operand is a key
}

// Flag is one of a command.
type Flag struct {
	Name, Unit, Usage string
	Short             string // one letter, or none
	Boolean           bool
}

// Entries lists the commands, in the order of the help.
func Entries() []Entry { return entries() }

// entries never change, and take some milliseconds to find.
var entries = sync.OnceValue(func() (list []Entry) {
	k, _ := grammar(new(Line))
	for _, leaf := range k.Model.Leaves(true) {
		e := Entry{Name: strings.TrimPrefix(leaf.FullPath(), "copse "), Summary: leaf.Help}
		var operands []string
		for _, p := range leaf.Positional {
			operands = append(operands, strings.Trim(p.Summary(), "<>"))
			e.Keys = e.Keys || p.Name == "key"
		}
		e.Operands = strings.NewReplacer("<", "", ">", "").Replace(strings.Join(operands, " "))
		e.Flags, e.common = flagsOf(leaf.Flags), flagsOf(k.Model.Flags)
		list = append(list, e)
	}
	return list
})

// Common lists the flags of all commands.
func Common() []Flag { return entries()[0].common }

func flagsOf(flags []*kong.Flag) (list []Flag) {
	for _, f := range flags {
		if !f.Hidden {
			short := ""
			if f.Short != 0 {
				short = string(f.Short)
			}
			list = append(list, Flag{Name: f.Name, Short: short, Unit: unit(f), Usage: f.Help, Boolean: f.IsBool()})
		}
	}
	return list
}

func unit(f *kong.Flag) string {
	switch {
	case f.IsBool():
		return "true|false"
	case f.Enum != "":
		return strings.ReplaceAll(f.Enum, ",", "|")
	case f.PlaceHolder != "":
		return strings.ToLower(f.PlaceHolder)
	}
	return "duration"
}

// Help returns the help of a command.
func Help(name string) string {
	var out bytes.Buffer
	k, _ := grammar(new(Line))
	k.Stdout = &out
	context, err := kong.Trace(k, strings.Fields(name))
	if err == nil {
		err = kong.DefaultHelpPrinter(kong.HelpOptions{Compact: true, WrapUpperBound: 100, ValueFormatter: kong.DefaultHelpValueFormatter}, context)
	}
	if err != nil {
		panic(err) // it names no command
	}
	return out.String()
}

// nearest returns the name of the known flag that is most like a word.
func nearest(arg string, k *kong.Kong, node *kong.Node) string {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	all := slices.Concat(node.Flags, k.Model.Flags)
	return slices.MinFunc(all, func(a, b *kong.Flag) int { return Distance(name, a.Name) - Distance(name, b.Name) }).Name
}
