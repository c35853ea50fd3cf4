package importer

import (
	"errors"
	"fmt"
	"time"

	"copse/statemachine/etcddir"
)

// directories reads data directories of one cluster.
func (o *Options) directories(dirs []string, now time.Time, shown *progress) (*found, error) {
	r, err := etcddir.Read(o.sources(dirs, shown), etcddir.Options{CommittedOnly: o.CommittedOnly, TakeSound: o.TakeSound, Now: now.UnixNano()})
	if err != nil {
		if errors.Is(err, etcddir.ErrDamaged) {
			err = fmt.Errorf("%w. Leave this directory out and give those of the other members, or --take-what-is-sound for what is before the damage", err)
		}
		return nil, err
	}
	f := &found{
		name: r.Source, cluster: r.Cluster, index: r.Index, term: r.Term, nodes: r.Nodes(), counts: r.Counts, access: r.Access, window: r.Window,
		partial: !r.Losses.Whole(), notes: func(l line) { directoryNotes(l, r) },
	}
	if len(dirs) > 1 {
		f.name += fmt.Sprintf(", which goes furthest of the %d directories", len(dirs))
	}
	if r.Losses.Writes() {
		f.anew = "since writes are missing"
	}
	return f, nil
}

func (o *Options) sources(dirs []string, p *progress) []etcddir.Source {
	var list []etcddir.Source
	for _, dir := range dirs {
		s := etcddir.Source{Name: dir, Dir: p.of(dir)}
		if o.WALDir != "" {
			s.WAL = p.of(o.WALDir)
		}
		list = append(list, s)
	}
	return list
}

// directoryNotes prints the notes that only a directory calls for, and what is or may be missing.
func directoryNotes(line line, r *etcddir.Result) {
	c, l := &r.Counts, &r.Losses
	line("log", "%d entries behind the snapshot, %d of them behind the last commit that is on disk", c.Entries, c.Uncommitted)
	if c.Foreign > 0 {
		line("", "%d are of the v3 API, whose keys stay behind", c.Foreign)
	}
	if c.Refused > 0 {
		line("", "%d set the time to live of a directory, which etcd 3.5 refuses", c.Refused)
	}
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
