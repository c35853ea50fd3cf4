package importer

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// line prints one line of the report.
type line func(subject, format string, args ...any)

// report prints what was found, one subject a line, and what is missing.
func report(w io.Writer, f *found, h *portable.Header) error {
	var b strings.Builder
	line := func(subject, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", subject, printable(fmt.Sprintf(format, args...)))
	}
	id := ""
	if f.cluster.ID == 0 && h.ClusterID != 0 {
		id = ", which the source doesn't say"
	}
	c := &f.counts
	line("read", "%s", f.name)
	line("cluster", "id %x%s, version %s, members: %s", h.ClusterID, id, orNone(f.cluster.Version), orNone(memberNames(f.cluster.Members)))
	line("nodes", "%d, of which %d hidden and %d with a time to live", c.Nodes, c.Hidden, c.Expires)
	if c.Expired > 0 {
		line("", "%d are overdue, and expire as soon as copse has a leader", c.Expired)
	}
	line("index", "%d; copse goes on above %d", f.index, h.Index)
	line("term", "%d", f.term)
	if f.anew != "" {
		line("events", "none: watchers start anew, %s", f.anew)
	} else {
		line("events", "%d, from index %d on", len(f.window.Events), h.Window)
	}
	line("auth", "%s, users: %d, roles: %d", map[bool]string{true: "enabled", false: "not enabled"}[f.access.Enabled], len(f.access.Users), len(f.access.Roles))
	f.notes(line)
	_, err := io.WriteString(w, b.String())
	return err
}

// printable returns text as it is, or escaped as by %q: names are the source's, and mustn't begin
// lines or command the terminal.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return quoted[1 : len(quoted)-1]
	}
	return text
}

// count counts the nodes, for sources that don't.
func (f *found) count(now int64) {
	c := &f.counts
	for n := range f.nodes {
		c.Nodes++
		if tree.HiddenBelow("/", n.Key) {
			c.Hidden++
		}
		if n.Expires != 0 {
			c.Expires++
			if n.Expires <= now {
				c.Expired++
			}
		}
	}
}

func memberNames(members []tree.Member) string {
	var names []string
	for _, m := range members {
		names = append(names, orNone(m.Name))
	}
	return strings.Join(names, " ")
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
