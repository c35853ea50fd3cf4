package config

import (
	"fmt"
	"strings"
)

// Help is the text of --help: every setting in its group, with its default.
func Help() string {
	var b strings.Builder
	b.WriteString(`copse serves the etcd v2 API.

Usage:
  copse [flags]
  copse --version
  copse --help

A flag takes one dash or two. Its variable is COPSE_ or ETCD_ with the flag's
name in upper case and _ for -, such as COPSE_DATA_DIR. A flag wins over the
environment, COPSE_ over ETCD_.
`)
	c := Default()
	for _, group := range groups() {
		fmt.Fprintf(&b, "\n%s:\n", group)
		for _, s := range settings() {
			if s.group != group {
				continue
			}
			standard := s.derived
			if standard == "" {
				standard = s.print(&c)
			}
			fmt.Fprintf(&b, "  --%s <%s>\n      %s\n      Default: %s\n", s.flag, s.unit, s.usage, standard)
		}
	}
	b.WriteString("\nOther flags of etcd are accepted and mentioned in a warning; those for TLS are refused.\n")
	return b.String()
}
