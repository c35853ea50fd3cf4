package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"copse/statemachine/etcddir"
	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// Options say what to do.
type Options struct {
	Import
	// Use takes the file in place of Out. It is written beside the path Beside, and removed.
	Use    func(file io.Reader) error
	Beside string
}

// Import has the options of the command.
type Import struct {
	WALDir        string // with the log of the one directory; empty: in it
	Out           string // the file to write
	DryRun        bool   // report only
	TakeSound     bool   // read what is before the first damage
	CommittedOnly bool
	ClusterID     uint64 // 0: the source's
	IndexMargin   int    // by which the index is raised above the source's
}

// ErrUsage is the error for a request that makes no sense.
var ErrUsage = errors.New("copse import")

// ErrPartial is the error for an import that is done, but lacks something.
var ErrPartial = errors.New("not everything could be taken over: see above")

// Run carries out the command: it reads the directories, reports to w, and writes the
// file. If terminal is one, it shows there how much has been read.
func Run(dirs []string, o Options, w, terminal io.Writer) error {
	if err := o.check(dirs); err != nil {
		return err
	}
	now, shown := time.Now(), newProgress(terminal)
	r, err := etcddir.Read(o.sources(dirs, shown), etcddir.Options{CommittedOnly: o.CommittedOnly, TakeSound: o.TakeSound, Now: now.UnixNano()})
	shown.end()
	if err != nil {
		if errors.Is(err, etcddir.ErrDamaged) {
			err = fmt.Errorf("%w. Leave this directory out and give those of the other members, or --take-what-is-sound for what is before the damage", err)
		}
		return err
	}
	h := o.header(r, now)
	if err := report(w, r, &h, len(dirs)); err != nil {
		return err
	}
	if !o.DryRun {
		if err := o.save(func(w io.Writer) error { return export(w, r, h) }, w); err != nil {
			return err
		}
	}
	if !r.Losses.Whole() {
		return ErrPartial
	}
	return nil
}

func (o *Options) check(dirs []string) error {
	switch {
	case len(dirs) == 0:
		return fmt.Errorf("%w needs the data directory of an etcd member, or of several members of one cluster", ErrUsage)
	case o.WALDir != "" && len(dirs) > 1:
		return fmt.Errorf("%w takes one directory with --etcd-wal-dir", ErrUsage)
	}
	return nil
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

// brokenMargin is by how much the index of a source is raised that is known to lack
// writes: their indexes must not be given out again.
const brokenMargin = 1_000_000

// header decides on the numbers with which copse goes on. The source may have been ahead of
// what its directory says, by writes that only other members have, and by indexes that late
// versions of etcd 3.5 take outside of the log. So the index is raised. Watchers don't notice,
// for the window covers what is below. Where writes are missing, watchers must
// start anew: the window begins above the index.
func (o *Options) header(r *etcddir.Result, now time.Time) portable.Header {
	h := portable.Header{ClusterID: r.Cluster.ID, Index: r.Index, Term: r.Term, Time: now, Shards: 1, AuthEnabled: r.Access.Enabled,
		Nodes: uint64(r.Counts.Nodes), Window: r.Window.Start}
	if o.ClusterID != 0 {
		h.ClusterID = o.ClusterID
	}
	h.Index += tree.Index(o.IndexMargin)
	if r.Losses.Writes() {
		h.Index += brokenMargin
		h.Window = h.Index + 1
	}
	return h
}

func export(w io.Writer, r *etcddir.Result, h portable.Header) error {
	out, err := portable.NewWriter(w, h)
	if err != nil {
		return err
	}
	for n := range r.Nodes() {
		if err := out.Node(&n); err != nil {
			return err
		}
	}
	for _, role := range r.Access.Roles {
		if err := out.Role(role); err != nil {
			return err
		}
	}
	for _, u := range r.Access.Users {
		if err := out.User(u); err != nil {
			return err
		}
	}
	for i := range r.Window.Events {
		if e := &r.Window.Events[i]; e.Index() >= h.Window {
			if err := out.Event(e); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// save writes the file, and gives it its name or to Use.
func (o *Options) save(write func(io.Writer) error, report io.Writer) error {
	path := o.Out
	if o.Use != nil {
		path = filepath.Clean(o.Beside)
	} else if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s exists already", ErrUsage, path) // it may be the only copy of something
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer f.Close()           // Sync has reported what can go wrong
	defer os.Remove(f.Name()) // it is gone already, or has another name
	if o.Use != nil {
		_ = os.Remove(f.Name()) // so that even a crash leaves nothing; f stays
	}
	b := bufio.NewWriterSize(f, 1<<20)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if o.Use != nil {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return o.Use(f)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, it replaces nothing
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(report, "%-11s %s\n", "written", path)
	return err
}
