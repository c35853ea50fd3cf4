package peerlink

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Book says where the members are: peer URLs by member id. It may be used and
// changed from any goroutine.
type Book struct {
	members atomic.Pointer[map[uint64][]string] // the map is never changed, only replaced

	mu      sync.Mutex
	readers []*reader
}

// reader is a link that follows the book.
type reader struct{ changed func() }

// NewBook returns an empty book.
func NewBook() *Book {
	b := &Book{}
	b.members.Store(&map[uint64][]string{})
	return b
}

// Set replaces what the book says. Connections to an address that a member no
// longer has are closed, and so is every connection of a member that is gone.
// A URL is http or https, a host (a name, an IPv4 or a bracketed IPv6 address)
// and a port. Names are resolved whenever the address is dialled.
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

// all returns what the book says now. It is not to be changed.
func (b *Book) all() map[uint64][]string { return *b.members.Load() }

// urls returns the addresses of a member; none, if the book doesn't know it.
func (b *Book) urls(member uint64) []string { return b.all()[member] }

// follow has changed called after each Set, until the reader unfollows.
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

// bookChanged closes the connections that the book no longer speaks for, and
// forgets who is gone.
func (l *Link) bookChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Looked at under the lock: what was looked at last is the latest.
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

// outdated reports whether a connection was dialled to where its member isn't.
func outdated(c *conn, book map[uint64][]string) bool {
	return !slices.Contains(book[c.member], c.url)
}
