package config

import (
	"fmt"
	"strings"

	"copse/config/cli"
)

// Help is the help for one command; that of serve, or of the zero Command, is
// the whole of copse's.
func Help(command Command) string {
	var b strings.Builder
	c := Default()
	if command.Name == "" || command.Name == "serve" || command.Name == "help" {
		helpAll(&b, &c)
		return b.String()
	}
	if command.Client {
		return cli.Help(command.Name)
	}
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s\n", command.Summary, synopsis(&command))
	if command.Details != "" {
		fmt.Fprintf(&b, "\n%s\n", command.Details)
	}
	if len(command.options) > 0 {
		b.WriteString("\nFlags:\n")
		for _, s := range command.options {
			helpSetting(&b, &c, &s)
		}
	}
	if command.Settings {
		b.WriteString("\nAll settings of copse serve are accepted too; copse help lists them.\n")
	}
	return b.String()
}

func helpAll(b *strings.Builder, c *Config) {
	b.WriteString("copse is a server for the etcd v2 API.\n\nUsage:\n")
	for _, command := range Commands() {
		fmt.Fprintf(b, "  %s\n      %s\n", synopsis(&command), command.Summary)
	}
	b.WriteString(`
Flags have one dash or two. Each setting can also come from the environment, as
COPSE_ or ETCD_ with the flag's name in upper case and _ for -, such as
COPSE_DATA_DIR, or from the file that --config-file names. Flags take precedence
over the environment, COPSE_ over ETCD_, and the environment over the file.
`)
	for _, g := range groups() {
		fmt.Fprintf(b, "\n%s:\n", g.name)
		for _, s := range g.settings {
			helpSetting(b, c, &s)
		}
	}
	b.WriteString(`
Sizes are in bytes, or have a unit: KiB, MiB, GiB. Durations are written 200ms,
30s or 1m30s. Other flags of etcd are ignored with a warning, or rejected if
ignoring them would be dangerous.

Exit codes:
`)
	for _, code := range exitCodes() {
		fmt.Fprintf(b, "  %d  %s\n", code.code, code.meaning)
	}
	b.WriteString("Those of the client commands are etcdctl's.\n")
}

func helpSetting(b *strings.Builder, c *Config, s *setting) {
	value := " <" + s.unit + ">"
	if s.boolean {
		value = ""
	}
	fmt.Fprintf(b, "  --%s%s\n%s      Default: %s\n", s.flag, value, wrap(s.usage, "      ", 80), s.standard(c))
}

// wrap breaks a text into indented lines of at most width columns.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}

// synopsis is how a command is typed.
func synopsis(command *Command) string {
	words := []string{"copse", command.Name}
	if command.Name == "serve" {
		words[1] = "[serve]"
	}
	const manyOptions = 5
	many := len(command.options) >= manyOptions
	for _, s := range command.options {
		switch {
		case many || command.Client:
		case s.boolean:
			words = append(words, "[--"+s.flag+"]")
		default:
			words = append(words, "[--"+s.flag+" <"+s.unit+">]")
		}
	}
	if many || command.Settings || command.Client {
		words = append(words, "[flags]")
	}
	if command.Operands != "" {
		words = append(words, command.Operands)
	}
	return strings.Join(words, " ")
}
