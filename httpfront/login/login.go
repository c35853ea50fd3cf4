package login

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/crypto/bcrypt"

	"copse/statemachine/auth"
)

// Checker finds out who clients are. Its methods may be called concurrently.
type Checker struct {
	state  func() *auth.State
	nobody string // the hash that the password of an unknown user is compared with
	proofs proofs
	turns  turns
	counts counts
	rest   func(time.Duration) // after a wrong password, in its turn: turns.rest, but for tests
}

// New returns a Checker of the users in the state that the function returns, which must
// not block.
func New(state func() *auth.State) *Checker {
	c := &Checker{state: state, nobody: nobodysHash, proofs: newProofs(), turns: newTurns()}
	c.rest = c.turns.rest
	return c
}

// Stop ends the waits of those whose passwords are still to be checked, with ErrStopped.
func (c *Checker) Stop() { c.turns.stop() }

// Refused is the error for credentials that are wrong. It has no secrets in it.
type Refused struct {
	User string // as the client has named it; empty if its header can't be read
	Why  string
}

// Error implements error.
func (r *Refused) Error() string { return r.Why }

// The errors of passwords that can't be checked, or hashed, at the moment or at all.
var (
	ErrBusy    = errors.New("too many passwords are waiting to be checked")
	ErrStopped = errors.New("etcdserver: server stopped")
	ErrTooLong = errors.New("the password has more than 72 bytes, of which bcrypt ignores all but the first 72")
)

// passwordLimit bounds how many bytes of a password count for bcrypt. A longer one is never
// right, for otherwise its beginning would be as good as the whole.
const passwordLimit = 72

// Client is a connection. What it remembers belongs to the connection's goroutine.
type Client struct {
	Addr net.Addr

	room   []byte     // for the text in a header
	header []byte     // the last one that was right
	user   *auth.User // whose it is
}

// rememberLimit is the length above which a connection doesn't keep a header, or its text.
const rememberLimit = 256

// Identify returns who has sent a request with this Authorization header. If that is empty
// or missing, the client is the user that its certificate names, and the guest if there is
// no such user. The error is a [*Refused], upon which the client is nobody, or ErrBusy or
// ErrStopped. Identify may wait for some seconds.
func (c *Checker) Identify(client *Client, header []byte, certificate string) (auth.Who, error) {
	if who, ok := c.Recall(client, header, certificate); ok {
		return who, nil
	}
	header = bytes.Trim(header, " \t")
	name, password, ok := parseBasic(header, &client.room)
	if !ok {
		c.counts.malformed.Add(1)
		return auth.Who{}, &Refused{Why: "the Authorization header can't be read"}
	}
	proof := c.proofs.of(name, password)
	st := c.state()
	if u := c.proven(st, name, proof); u != nil {
		c.counts.remembered.Add(1)
		client.remember(header, u)
		return st.Proven(u), nil
	}
	u, err := c.check(name, password, proof, client.From())
	if err != nil {
		return auth.Who{}, err
	}
	client.remember(header, u)
	return auth.TheUser(u.Name), nil
}

// Recall is Identify without a wait, for a client that sends no credentials, or those that its
// connection was last right with. ok is false for all others.
func (c *Checker) Recall(client *Client, header []byte, certificate string) (who auth.Who, ok bool) {
	header = bytes.Trim(header, " \t")
	if len(header) == 0 {
		return c.byCertificate(certificate), true
	}
	st := c.state()
	u := client.recall(st, header)
	if u == nil {
		return auth.Who{}, false
	}
	c.counts.remembered.Add(1)
	return st.Proven(u), true
}

// byCertificate returns the user of that name, or the guest: as in etcd, a certificate in
// another name is none.
func (c *Checker) byCertificate(name string) auth.Who {
	if name == "" {
		return auth.TheGuest
	}
	u, ok := c.state().User(name)
	if !ok {
		return auth.TheGuest
	}
	c.counts.certificate.Add(1)
	return auth.TheUser(u.Name)
}

// From returns the address of the client's host, the zero one if it has none.
func (c *Client) From() netip.Addr {
	if tcp, ok := c.Addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// networkOf returns what stands for a host: of an IPv6 address the first half, for a host
// chooses the other one, and has as many addresses as it wants.
func networkOf(host netip.Addr) netip.Addr {
	if network, err := host.Prefix(64); err == nil && host.Is6() {
		return network.Addr()
	}
	return host
}

func (c *Client) recall(st *auth.State, header []byte) *auth.User {
	if c.user == nil || subtle.ConstantTimeCompare(header, c.header) == 0 {
		return nil
	}
	u, ok := st.User(c.user.Name)
	if !ok || u.Hash != c.user.Hash {
		return nil
	}
	return u
}

func (c *Client) remember(header []byte, u *auth.User) {
	if len(header) <= rememberLimit {
		c.header, c.user = append(c.header[:0], header...), u
	}
}

// check returns the user, if the password is right. It waits for a turn to hash it.
func (c *Checker) check(name string, password []byte, proof proof, from netip.Addr) (*auth.User, error) {
	asks := asker{from: networkOf(from)}
	if u, ok := c.state().User(name); ok {
		asks.user = u.Name
	} // Those of no user have none of their own, or there would be as many lines as names to think of.
	w, err := c.turns.take(asks)
	if err != nil {
		c.counts.busy.Add(1)
		return nil, err
	}
	u := c.compare(name, password, proof)
	if u != nil {
		c.turns.leave(w)
		c.turns.pass()
		return u, nil
	}
	c.turns.wrong(asks)
	c.counts.failed.Add(1)
	if err := c.turns.settle(w); err != nil {
		return nil, err // it isn't told that it was wrong
	}
	return nil, &Refused{User: name, Why: "no such user, or the wrong password"}
}

// compare returns the user, if the password is right. It needs a turn.
func (c *Checker) compare(name string, password []byte, proof proof) *auth.User {
	// Another request with the same password may have had its turn meanwhile.
	if u := c.proven(c.state(), name, proof); u != nil {
		c.counts.remembered.Add(1)
		return u
	}
	u, ok := c.state().User(name)
	hash := c.nobody
	if ok = ok && len(password) <= passwordLimit; ok {
		hash = u.Hash
	}
	began := time.Now()
	if err := bcrypt.CompareHashAndPassword([]byte(hash), password); err != nil || !ok {
		c.rest(time.Since(began))
		return nil
	}
	c.counts.verified.Add(1)
	c.proofs.put(u, proof)
	return u
}

// nobodysHash is compared with the password of a user that doesn't exist, so that it takes
// as long as for one that does. Nobody knows a password for it, and it wouldn't help.
const nobodysHash = "$2a$10$K4gD2dJb0l9yq5rV1cWq6OeM8nYx3uT7hZs0aQpLwEvCfRkBjGiNm"

func (c *Checker) proven(st *auth.State, name string, p proof) *auth.User {
	u, ok := st.User(name)
	if !ok || !c.proofs.has(u, p) {
		return nil
	}
	return u
}

// Hash returns bcrypt's hash of a new password, at the cost that etcd uses, or ErrTooLong,
// ErrBusy or ErrStopped.
func (c *Checker) Hash(password string, client *Client) (string, error) {
	if _, err := c.turns.take(asker{from: client.From(), hashes: true}); err != nil {
		return "", err
	}
	defer c.turns.pass()
	return Hash(password)
}

// Hash returns bcrypt's hash of a password, at the cost that etcd uses, or ErrTooLong. It
// takes a core for a while, and waits for nobody.
func Hash(password string) (string, error) {
	if len(password) > passwordLimit {
		return "", ErrTooLong
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	return string(hash), err
}
