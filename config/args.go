package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"copse/config/cli"
)

// helpAsked reports whether the arguments ask for help.
func helpAsked(complaints []error) bool {
	return slices.ContainsFunc(complaints, func(err error) bool { return errors.Is(err, flag.ErrHelp) })
}

// addArgs collects the flags; the last one of a name wins. It returns the words that
// follow them.
func (t texts) addArgs(args []string, command *Command) (operands []string, complaints []error) {
	set, known := t.flagSet(command)
	for {
		err := set.Parse(args)
		rest := set.Args()
		if err == nil {
			end := len(args) - len(rest)
			if len(rest) == 0 || command.Operands == "" || end > 0 && args[end-1] == "--" {
				return append(operands, rest...), complaints
			}
			operands, args = append(operands, rest[0]), rest[1:] // flags may follow
			continue
		}
		if strings.HasPrefix(err.Error(), "bad flag syntax") {
			// Only here does Parse leave the bad argument in place.
			complaints = append(complaints, misuse(err, rest[0], known))
			args = rest[1:]
			continue
		}
		complaints = append(complaints, misuse(err, args[len(args)-len(rest)-1], known))
		args = rest
		if errors.Is(err, flag.ErrHelp) {
			return nil, complaints
		}
		// The next word may have been meant as its value.
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			args = args[1:]
		}
	}
}

// flagSet makes the flags of a command, whose values go into t.
func (t texts) flagSet(command *Command) (set *flag.FlagSet, known []string) {
	set = flag.NewFlagSet("copse", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	add := func(name string, boolean bool) {
		known = append(known, name)
		record := func(text string) error {
			t.put(name, given{text: text, rank: rankFlag, origin: "flag", name: "--" + name})
			return nil
		}
		if boolean {
			set.BoolFunc(name, "", record)
		} else {
			set.Func(name, "", record)
		}
	}
	for _, s := range command.options {
		add(s.flag, s.boolean)
	}
	if command.Settings {
		for _, s := range settings() {
			add(s.flag, s.boolean)
		}
		for _, a := range aliases() {
			add(a.flag, a.boolean)
		}
		for _, f := range foreigners() {
			add(f.flag, f.boolean)
		}
	}
	add("version", true)
	known = append(known, "help")
	return set, known
}

// misuse is an error of package flag in our words.
func misuse(err error, culprit string, known []string) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	name, _, _ := strings.Cut(strings.TrimLeft(culprit, "-"), "=")
	if strings.HasPrefix(err.Error(), "flag needs an argument") {
		return fmt.Errorf("--%s needs a value", name)
	}
	if strings.Contains(culprit, "@") { // it may have a password in it
		culprit, _, _ = strings.Cut(culprit, "=")
	}
	return fmt.Errorf("unknown flag %s; did you mean --%s?", culprit, cli.Nearest(name, known))
}

// stray reports words that are neither flags nor operands.
func stray(command *Command, operands []string) []error {
	switch {
	case len(operands) == 0 || command.Operands != "":
		return nil
	case slices.Contains(firstWords(), operands[0]):
		return []error{fmt.Errorf("%q is a command, which comes before the flags: copse %s --flag=value", operands[0], operands[0])}
	default:
		return []error{fmt.Errorf("%s is not a flag; settings have the form --flag=value", cli.Quote(operands[0]))}
	}
}
