package peerlink

// Book says where the members are: peer URLs by member id. It may be used and
// changed from any goroutine.
type Book struct{}

// NewBook returns an empty book.
func NewBook() *Book { return &Book{} }

// Set replaces what the book says. Connections to an address that a member no
// longer has are closed, and so is every connection of a member that is gone.
// A URL is http or https, a host (a name, an IPv4 or a bracketed IPv6 address)
// and a port. Names are resolved whenever the address is dialled.
func (b *Book) Set(members map[uint64][]string) {}
