package importer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
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

	Security *tls.Config // for From
	// Password is root's at From, or empty if none is known. Hash returns the form in which copse
	// keeps it.
	Password string
	Hash     func(password string) (string, error)
}

// Import has the options of the command.
type Import struct {
	From          []url.URL // of a running etcd; none: the operands are read
	Hidden        []string  // keys of it that listings don't show
	Format        string    // of a dump; empty: to be told by how it begins
	WALDir        string    // with the log of the one directory; empty: in it
	Out           string    // the file to write
	DryRun        bool      // report only
	TakeSound     bool      // read what is before the first damage
	CommittedOnly bool
	ClusterID     uint64 // 0: the source's
	IndexMargin   int    // by which the index is raised above the source's
}

// ErrUsage is the error for a request that makes no sense.
var ErrUsage = errors.New("copse import")

// ErrPartial is the error for an import that is done, but lacks something.
var ErrPartial = errors.New("not everything could be taken over: see above")

// found has what was read from a source of any kind.
type found struct {
	name    string // for the report
	cluster etcddir.Cluster
	index   tree.Index
	term    uint64
	nodes   iter.Seq[tree.Node]
	counts  etcddir.Counts
	access  etcddir.Access
	window  etcddir.Window
	// anew says why watchers must start anew. If it is empty, they may go on.
	anew    string
	partial bool // something is missing
	notes   func(line)
}

// Run carries out the command: it reads the source, which is o.From or the operands, reports
// to w, and writes the file. If terminal is one, it shows there how much has been read.
func Run(ctx context.Context, operands []string, o Options, w, terminal io.Writer) error {
	read, err := o.reader(operands)
	if err != nil {
		return err
	}
	if o.Use == nil && !o.DryRun {
		if _, err := os.Lstat(o.Out); err == nil { // it may be the only copy of something
			return fmt.Errorf("%w: %s exists already: remove it, or give another name", ErrUsage, o.Out)
		}
	}
	now, shown := time.Now(), newProgress(terminal)
	f, err := read(ctx, now, shown)
	shown.end()
	if err != nil {
		return err
	}
	h, err := o.header(f, now)
	if err != nil {
		return err
	}
	if err := report(w, f, &h); err != nil {
		return err
	}
	if !o.DryRun {
		if err := o.save(func(w io.Writer) error { return export(w, f, h) }, w); err != nil {
			return err
		}
	}
	if f.partial {
		return ErrPartial
	}
	return nil
}

// reader returns what reads the source.
func (o *Options) reader(operands []string) (func(context.Context, time.Time, *progress) (*found, error), error) {
	switch {
	case len(o.From) > 0 && len(operands) > 0:
		return nil, fmt.Errorf("%w takes either --from or files, not both", ErrUsage)
	case len(o.From) > 0:
		return o.live, nil
	case len(o.Hidden) > 0:
		return nil, fmt.Errorf("%w needs --hidden only with --from: directories have all nodes", ErrUsage)
	case len(operands) == 0:
		return nil, fmt.Errorf("%w needs the data directory of an etcd member, or of several members of one cluster, or a dump of its keys, or --from with the URL of a running one", ErrUsage)
	case o.Format != "" || isFile(operands[0]):
		if len(operands) > 1 {
			return nil, fmt.Errorf("%w takes one dump", ErrUsage)
		}
		return func(_ context.Context, now time.Time, shown *progress) (*found, error) {
			return o.dump(operands[0], now, shown)
		}, nil
	case o.WALDir != "" && len(operands) > 1:
		return nil, fmt.Errorf("%w takes one directory with --etcd-wal-dir", ErrUsage)
	}
	for _, dir := range operands {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s: no such directory", ErrUsage, dir)
		}
	}
	return func(_ context.Context, now time.Time, shown *progress) (*found, error) {
		return o.directories(operands, now, shown)
	}, nil
}

// brokenMargin is by how much the index of a source is raised that is known to lack
// writes: their indexes must not be given out again.
const brokenMargin = 1_000_000

// header decides on the numbers with which copse goes on. The source may have been ahead of
// what was read of it, by writes that only other members have, and by indexes that late
// versions of etcd 3.5 take outside of the log. So the index is raised. Watchers don't notice,
// for the window covers what is below. Where writes are missing, watchers must
// start anew: the window begins above the index.
func (o *Options) header(f *found, now time.Time) (portable.Header, error) {
	h := portable.Header{ClusterID: f.cluster.ID, Index: f.index, Term: f.term, Time: now, Shards: 1, AuthEnabled: f.access.Enabled,
		Nodes: uint64(f.counts.Nodes), Window: f.window.Start}
	if o.ClusterID != 0 {
		h.ClusterID = o.ClusterID
	}
	for h.ClusterID == 0 { // the source doesn't know
		if err := randomID(&h.ClusterID); err != nil {
			return h, err
		}
	}
	h.Index += tree.Index(o.IndexMargin)
	if f.anew != "" {
		h.Index += brokenMargin
		h.Window = h.Index + 1
	}
	return h, nil
}

func export(w io.Writer, f *found, h portable.Header) error {
	out, err := portable.NewWriter(w, h)
	if err != nil {
		return err
	}
	for n := range f.nodes {
		if err := out.Node(&n); err != nil {
			return err
		}
	}
	for _, role := range f.access.Roles {
		if err := out.Role(role); err != nil {
			return err
		}
	}
	for _, u := range f.access.Users {
		if err := out.User(u); err != nil {
			return err
		}
	}
	for i := range f.window.Events {
		if e := &f.window.Events[i]; e.Index() >= h.Window {
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
