package config

import "copse/config/cli"

// clientCommands are those whose lines package cli parses. Their rows are for the completion and
// the reference.
func clientCommands() (list []Command) {
	for _, e := range cli.Entries() {
		list = append(list, Command{Name: e.Name, Operands: e.Operands, Summary: e.Summary, Client: true, keys: e.Keys, options: clientRows(e.Flags)})
	}
	return list
}

// commonRows are the flags of all client commands.
func commonRows() []setting { return clientRows(cli.Common()) }

func clientRows(flags []cli.Flag) (rows []setting) {
	for _, f := range flags {
		rows = append(rows, setting{flag: f.Name, unit: f.Unit, usage: f.Usage, field: field{boolean: f.Boolean, short: f.Short}})
	}
	return rows
}
