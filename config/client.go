package config

import "copse/config/cli"

// clientCommands are those whose lines package cli parses. Their rows are for the completion and
// the reference.
func clientCommands() (list []Command) {
	for _, e := range cli.Entries() {
		c := Command{Name: e.Name, Operands: e.Operands, Summary: e.Summary, Client: true, keys: e.Keys}
		for _, f := range e.Flags {
			c.options = append(c.options, setting{flag: f.Name, unit: f.Unit, usage: f.Usage, field: field{boolean: f.Boolean, print: func(*Config) string { return "" }}})
		}
		list = append(list, c)
	}
	return list
}
