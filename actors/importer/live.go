package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"copse/actors/source"
	"copse/statemachine/auth"
	"copse/statemachine/dump"
	"copse/statemachine/etcddir"
	"copse/statemachine/tree"
)

// knownHidden are the hidden keys of well-known programs: fleet, and etcd's discovery.
var knownHidden = []string{"/_coreos.com", "/_etcd"}

const (
	windowSize  = 1000            // events that an etcd remembers
	windowLimit = 10 * windowSize // events that are kept, if more happen meanwhile
	guarded     = 100             // events to ask for if auth makes each request cost etcd a bcrypt hash
	patience    = 1 * time.Second // how long to wait for an event of the past
	liveTries   = 3               // to read everything at one index
)

// live reads a running etcd over HTTP.
func (o *Options) live(ctx context.Context, now time.Time, shown *progress) (_ *found, err error) {
	defer func() {
		if e := new(tree.Error); errors.As(err, &e) { // its text is the source's
			err = fmt.Errorf("the source answers %q", e.Error())
		}
	}()
	var urls []string
	for i := range o.From {
		urls = append(urls, o.From[i].String())
	}
	c, err := source.New(urls, o.Security)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	l := &live{client: c, shown: shown, now: now, size: windowSize, names: map[string]bool{}}
	for _, name := range slices.Concat(knownHidden, o.Hidden) {
		if tops := hiddenTops(name); len(tops) > 0 {
			l.add(tops)
		} else {
			return nil, fmt.Errorf("%w: --hidden=%s isn't hidden, for none of its names begins with _", ErrUsage, name)
		}
	}
	f := &found{name: strings.Join(urls, " ")}
	if err := l.login(ctx, o, f); err != nil {
		return nil, err
	}
	if err := l.read(ctx); err != nil {
		return nil, err
	}
	if f.cluster.Version, f.cluster.Members, err = c.Cluster(ctx); err != nil {
		return nil, err
	}
	if l.after, err = c.At(ctx, "/"); err != nil {
		return nil, err
	}
	l.fill(f)
	return f, nil
}

// live is an etcd that is being read.
type live struct {
	client *source.Client
	shown  *progress
	now    time.Time

	names  map[string]bool // hidden keys that are asked for by themselves
	window etcddir.Window
	next   tree.Index // the events before are in the window
	size   tree.Index // how many are asked for

	tree *dump.Result
	at   source.Position // of the tree
	disturbance

	locked []string // users whose passwords aren't known
}

// disturbance tells how the source changed while it was read.
type disturbance struct {
	apart tree.Index      // at which a part of the tree was read, if not at that of the rest
	late  bool            // a hidden key has turned up at last, and wasn't read
	after source.Position // of the source, when all was read
}

// hiddenTops returns the keys at and above a key whose last name is hidden. Listings show
// nothing below them, unless they are asked for.
func hiddenTops(key string) (tops []string) {
	key = tree.Clean(key)
	for i := 1; i <= len(key); i++ {
		if i == len(key) || key[i] == '/' {
			if top := key[:i]; strings.HasPrefix(top[strings.LastIndexByte(top, '/')+1:], "_") {
				tops = append(tops, top)
			}
		}
	}
	return tops
}

// add adds names, and reports whether one was new.
func (l *live) add(names []string) (added bool) {
	for _, n := range names {
		added = added || !l.names[n]
		l.names[n] = true
	}
	return added
}

// login finds out whether auth is enabled, and reads users and roles.
func (l *live) login(ctx context.Context, o *Options, f *found) (err error) {
	if f.access.Enabled, err = l.client.AuthEnabled(ctx); err != nil {
		return err
	}
	root := ""
	if f.access.Enabled {
		l.size = guarded
		if o.Password == "" {
			return fmt.Errorf("%w needs root's password, since the source has auth enabled: give --password-file or COPSE_ROOT_PASSWORD", ErrUsage)
		}
		l.client.Login(o.Password)
	}
	f.access.Users, f.access.Roles, err = l.client.Access(ctx)
	if errors.Is(err, source.ErrUnauthorized) {
		return fmt.Errorf("%w: the source refuses root's password", ErrUsage)
	}
	if err == nil && f.access.Enabled {
		root, err = o.Hash(o.Password) // which the source has just found right
	}
	for _, u := range f.access.Users {
		if u.Name == auth.Root && root != "" {
			u.Hash = root
		} else {
			l.locked = append(l.locked, u.Name)
		}
	}
	slices.SortFunc(f.access.Users, func(a, b *auth.User) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(f.access.Roles, func(a, b *auth.Role) int { return strings.Compare(a.Name, b.Name) })
	return err
}

// read reads the recent events, which name hidden keys, and then the tree, until everything
// is of one index and no further hidden key has turned up.
func (l *live) read(ctx context.Context) (err error) {
	if l.at, err = l.client.At(ctx, "/"); err != nil {
		return err
	}
	l.next = max(l.at.Index, l.size) - l.size + 1
	l.window.Start = l.next
	if _, err := l.follow(ctx, l.at.Index); err != nil {
		return err
	}
	for range liveTries {
		if err := l.listings(ctx); err != nil {
			return err
		}
		if l.late, err = l.follow(ctx, l.at.Index); err != nil || !l.late && l.apart == 0 {
			return err
		}
	}
	return nil
}

// follow reads the events up to an index, and reports whether they name hidden keys that
// weren't known.
func (l *live) follow(ctx context.Context, to tree.Index) (more bool, err error) {
	for cleared := tree.Index(0); l.next <= to; {
		e, at, err := l.client.Next(ctx, l.next, patience)
		l.shown.answer()
		switch {
		case errors.Is(err, source.ErrCleared):
			l.next = min(l.next+1+cleared/2, to+1) // it may forget more while it is asked
			cleared++
			l.window = etcddir.Window{Start: l.next}
		case err != nil:
			return more, err
		case l.at.ClusterID != at.ClusterID:
			return more, errOtherCluster
		case e == nil || e.Index() > to:
			l.next = to + 1
		default:
			l.keep(e)
			l.next = e.Index() + 1
			more = l.add(hiddenTops(e.Node.Key)) || more
		}
	}
	return more, nil
}

// keep adds an event to the window, and lets go of the oldest of too many.
func (l *live) keep(e *tree.Event) {
	w := &l.window
	if len(w.Events) == windowLimit {
		w.Start = w.Events[windowSize-1].Index() + 1
		w.Events = slices.Delete(w.Events, 0, windowSize)
	}
	w.Events = append(w.Events, *e)
}

var errOtherCluster = errors.New("the URLs are of different clusters")

// listings reads the tree.
func (l *live) listings(ctx context.Context) (err error) {
	id := l.at.ClusterID
	l.apart = 0
	for i, key := range slices.Concat([]string{"/"}, slices.Sorted(maps.Keys(l.names))) {
		r, at, err := l.listing(ctx, key)
		switch {
		case err != nil:
			return fmt.Errorf("read %q of the source: %w", key, err)
		case at.ClusterID != id:
			return errOtherCluster
		case i == 0 && r == nil:
			return errors.New("the source has no /")
		case i == 0:
			l.tree, l.at = r, at
			continue
		case r == nil:
			continue
		}
		if at.Index != l.at.Index {
			l.apart = l.at.Index
			l.at.Index = max(l.at.Index, at.Index)
		}
		if err := l.tree.Join(r); err != nil {
			return fmt.Errorf("the source was changed while it was read: %w", err)
		}
	}
	return nil
}

// listing reads one listing. It returns nil if there is no such key.
func (l *live) listing(ctx context.Context, key string) (*dump.Result, source.Position, error) {
	body, at, err := l.client.Open(ctx, key)
	if err != nil || body == nil {
		return nil, at, err
	}
	defer body.Close()
	l.shown.answer()
	r, err := dump.Read(l.shown.reading(body), dump.Options{Format: dump.Answer, Now: l.now.UnixNano()})
	if err == nil && r.Root != key {
		err = fmt.Errorf("the answer is that to a read of %q", r.Root)
	}
	return r, at, err
}

// fill fills f with what was read.
func (l *live) fill(f *found) {
	f.cluster.ID, f.term = l.at.ClusterID, cmp.Or(l.at.Term, l.after.Term)
	f.index = max(l.at.Index, l.tree.Largest)
	f.nodes, f.window = l.tree.Nodes(), l.window
	f.count(l.now.UnixNano())
	if l.apart != 0 || l.late || l.after.Index > f.index {
		f.anew = "since clients were writing"
	}
	f.partial = f.anew != "" || len(l.locked) > 0 || l.tree.Binary.Keys > 0
	f.notes = func(line line) { l.notes(line, f) }
}

// notes prints what HTTP can't tell, and what is missing.
func (l *live) notes(line line, f *found) {
	var there []string
	for n := range l.tree.Nodes() {
		if l.names[n.Key] {
			there = append(there, n.Key)
		}
	}
	line("hidden", "%s", some(there))
	line("note", "other hidden nodes aren't known, unless they changed within the last %d events: name them with --hidden, or import the data directory", l.size)
	if l.tree.Empty > 0 {
		line("note", "%d directories list empty, and may have hidden nodes", l.tree.Empty)
	}
	binaryNotes(line, l.tree)
	if len(l.locked) > 0 {
		line("missing", "the passwords of %d users, which etcd shows to nobody: set new ones, or they can't log in: %s", len(l.locked), some(l.locked))
	}
	if l.apart != 0 {
		line("missing", "one moment of everything: a part was read at index %d, another up to %d. Stop the clients that write, and do it again", l.apart, l.at.Index)
	}
	if l.late {
		line("missing", "hidden nodes that were made while this was read. Stop the clients that write, and do it again")
	}
	if l.after.Index > f.index {
		line("missing", "the latest writes: etcd is at index %d by now. Stop the clients that write, and do it again", l.after.Index)
	}
}

// some lists the first names, and counts the others.
func some(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
	}
	return orNone(strings.Join(names, " "))
}
