package importer

import (
	"fmt"
	"io"
	"strings"

	"copse/statemachine/etcddir"
	"copse/statemachine/portable"
)

// report prints what was found, one subject a line, and what is missing.
func report(w io.Writer, r *etcddir.Result, h *portable.Header, dirs int) error {
	var b strings.Builder
	line := func(subject, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", subject, fmt.Sprintf(format, args...))
	}
	from := ""
	if dirs > 1 {
		from = fmt.Sprintf(", which goes furthest of the %d directories", dirs)
	}
	c := &r.Counts
	line("read", "%s%s", r.Source, from)
	line("cluster", "id %x, version %s, members: %s", h.ClusterID, orNone(r.Cluster.Version), orNone(memberNames(r)))
	line("nodes", "%d, of which %d hidden and %d with a time to live", c.Nodes, c.Hidden, c.Expires)
	if c.Expired > 0 {
		line("", "%d are overdue, and expire as soon as copse has a leader", c.Expired)
	}
	line("index", "%d; copse goes on above %d", r.Index, h.Index)
	line("term", "%d", r.Term)
	if r.Losses.Writes() {
		line("events", "none: watchers start anew, since writes are missing")
	} else {
		line("events", "%d, from index %d on", len(r.Window.Events), h.Window)
	}
	line("auth", "%s, users: %d, roles: %d", map[bool]string{true: "enabled", false: "not enabled"}[r.Access.Enabled], len(r.Access.Users), len(r.Access.Roles))
	line("log", "%d entries behind the snapshot, %d of them behind the last commit that is on disk", c.Entries, c.Uncommitted)
	if c.Foreign > 0 {
		line("", "%d are of the v3 API, whose keys stay behind", c.Foreign)
	}
	if c.Refused > 0 {
		line("", "%d set the time to live of a directory, which etcd 3.5 refuses", c.Refused)
	}
	notes(line, r)
	_, err := io.WriteString(w, b.String())
	return err
}

// notes prints what is missing or may be.
func notes(line func(string, string, ...any), r *etcddir.Result) {
	l := &r.Losses
	if n := len(r.Cluster.Members); r.Sources < n {
		line("note", "%d of %d members' directories: a write that only the others have is missing", r.Sources, n)
	}
	if l.Torn != nil {
		line("note", "the last write was cut off, and is left out: %s, byte %d", l.Torn.File, l.Torn.Offset)
	}
	if l.Filled {
		line("note", "nothing follows the last entry in its file: if the file was cut there, nothing tells")
	}
	for _, d := range l.Passed {
		line("passed over", "%v", d)
	}
	for _, d := range l.Damages {
		line("missing", "what comes after this: %v", d)
	}
	if l.Uncommitted > 0 {
		line("missing", "%d entries behind the last commit that is on disk, left out as requested", l.Uncommitted)
	}
	for _, what := range l.Left {
		line("missing", "%s", what)
	}
}

func memberNames(r *etcddir.Result) string {
	var names []string
	for _, m := range r.Cluster.Members {
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
