package peerlink

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Book is the address book: the members' peer URLs by id. It may be used and changed
// from any goroutine.
type Book struct {
	members atomic.Pointer[map[uint64][]string] // the map is replaced, never changed

	mu      sync.Mutex
	readers []*reader
}

// reader is a link that follows changes of the book.
type reader struct{ changed func() }

// NewBook returns an empty book.
func NewBook() *Book {
	b := &Book{}
	b.members.Store(&map[uint64][]string{})
	return b
}

// Set replaces the contents of the book. Connections to an address that a member no
// longer has are closed, and so are all connections of a member that is no longer in
// the book. A URL has http or https, a host (a name, an IPv4 address, or an IPv6
// address in brackets) and a port. Names are resolved whenever the address is dialled.
func (b *Book) Set(members map[uint64][]string) {
	replaced := make(map[uint64][]string, len(members))
	for id, urls := range members {
		replaced[id] = slices.Clone(urls)
	}
	b.members.Store(&replaced)
	b.mu.Lock()
	readers := slices.Clone(b.readers)
	b.mu.Unlock()
	for _, r := range readers {
		r.changed()
	}
}

// all returns the present contents, which must not be changed.
func (b *Book) all() map[uint64][]string { return *b.members.Load() }

// urls returns the addresses of a member; none if it isn't in the book.
func (b *Book) urls(member uint64) []string { return b.all()[member] }

// follow makes Set call changed, until unfollow.
func (b *Book) follow(changed func()) *reader {
	r := &reader{changed}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers = append(b.readers, r)
	return r
}

func (b *Book) unfollow(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers = slices.DeleteFunc(slices.Clone(b.readers), func(other *reader) bool { return other == r })
}

// bookChanged closes the connections that no longer agree with the book, and forgets
// members that are no longer in it.
func (l *Link) bookChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Read under the lock, so that the last to read has the latest contents.
	current := l.o.Book.all()
	for c := range l.conns {
		_, was := l.known[c.member]
		_, is := current[c.member]
		if c.url != "" && outdated(c, current) || c.url == "" && was && !is {
			c.close()
		}
	}
	for id := range l.known {
		if _, is := current[id]; !is {
			delete(l.peers, id)
		}
	}
	l.known = current
}

// outdated reports whether a connection goes to an address that its member no longer has.
func outdated(c *conn, book map[uint64][]string) bool {
	return !slices.Contains(book[c.member], c.url)
}
