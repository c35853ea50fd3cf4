package config

import (
	"fmt"
	"slices"
	"strings"
)

func completeFish(b *strings.Builder) {
	line := func(condition, rest string) {
		fmt.Fprintf(b, "complete -c copse -n %s %s\n", fishQuote(condition), rest)
	}
	b.WriteString("complete -c copse -f\n")
	seen := map[string]bool{}
	var bare []string // the commands without settings
	for _, c := range Commands() {
		first, _, two := strings.Cut(c.Name, " ")
		if two {
			c.Summary = groupSummary(first)
		}
		if !seen[first] {
			seen[first] = true
			line("__fish_use_subcommand", "-a "+first+" -d "+fishQuote(c.Summary))
		}
		if !c.Settings {
			bare = append(bare, c.Name)
		}
	}
	line("__fish_use_subcommand", "-l version -d 'Print the version'")
	b.WriteString("complete -c copse -l help -d 'Print the help'\n")
	for _, c := range Commands() {
		first, second, two := strings.Cut(c.Name, " ")
		here := "__fish_seen_subcommand_from " + first
		if two {
			var all []string
			for _, sibling := range subwords()[first] {
				all = append(all, sibling.Name)
			}
			line(here+"; and not __fish_seen_subcommand_from "+strings.Join(all, " "), "-a "+second+" -d "+fishQuote(c.Summary))
			here += "; and __fish_seen_subcommand_from " + second
		}
		for _, s := range c.options {
			line(here, fishFlag(&s))
		}
		if c.choices != nil {
			line(here+"; and not __fish_seen_subcommand_from "+strings.Join(c.choices, " "), "-a "+fishQuote(strings.Join(c.choices, " ")))
		}
	}
	var clients []string
	for _, c := range Commands() {
		if first, _, _ := strings.Cut(c.Name, " "); c.Client && first != "auth" && !slices.Contains(clients, first) {
			clients = append(clients, first)
		}
	}
	for _, s := range commonRows() {
		line("__fish_seen_subcommand_from "+strings.Join(clients, " "), fishFlag(&s))
	}
	line("__fish_seen_subcommand_from "+strings.Join(keyCommands(), " "),
		`-a '(copse ls -p --timeout=1s --total-timeout=1s -- (string replace -r "[^/]*\$" "" -- (commandline -ct | string unescape)) 2>/dev/null)'`)
	for _, s := range settings() {
		line("not __fish_seen_subcommand_from "+strings.Join(bare, " "), fishFlag(&s))
	}
}

func fishFlag(s *setting) string {
	flag := "-l " + s.flag
	if s.short != "" {
		flag += " -s " + s.short
	}
	switch {
	case s.boolean: // needs no value
	case s.words() != nil:
		flag += " -x -a " + fishQuote(strings.Join(s.words(), " "))
	case s.isPath():
		flag += " -r -F"
	default:
		flag += " -x"
	}
	return flag + " -d " + fishQuote(s.brief())
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
