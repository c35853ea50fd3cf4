package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"sync"

	"copse/statemachine/auth"
)

// proofs has, for each user that has logged in since the start, the password that was
// right, as a MAC: neither the passwords nor what could be compared with another process's
// memory.
type proofs struct {
	macs sync.Pool // of hash.Hash, with a key that is drawn at the start and kept nowhere else

	mu     sync.RWMutex
	byName map[string]verified
}

// proof is the MAC of a user's name and a password.
type proof [sha256.Size]byte

// verified is a password that was right, and the hash that it was right for.
type verified struct {
	proof proof
	hash  string
}

// proofsLimit bounds how many users are remembered; beyond that an arbitrary one is forgotten
// for each new one, and has to be hashed again. Entries take about 200 bytes.
const proofsLimit = 1 << 16

func newProofs() proofs {
	key := make([]byte, sha256.BlockSize)
	_, _ = rand.Read(key) // which never fails
	return proofs{
		macs:   sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		byName: make(map[string]verified),
	}
}

// of returns the proof of a password.
func (p *proofs) of(name string, password []byte) (out proof) {
	mac := p.macs.Get().(hash.Hash)
	defer p.macs.Put(mac)
	mac.Reset()
	var size [8]byte // or "a" with "bc" would be as good as "ab" with "c"
	binary.LittleEndian.PutUint64(size[:], uint64(len(name)))
	mac.Write(size[:])
	mac.Write([]byte(name))
	mac.Write(password)
	mac.Sum(out[:0])
	return out
}

// has reports whether the password was right for u, and still is.
func (p *proofs) has(u *auth.User, given proof) bool {
	p.mu.RLock()
	v, ok := p.byName[u.Name]
	p.mu.RUnlock()
	return ok && v.hash == u.Hash && subtle.ConstantTimeCompare(v.proof[:], given[:]) == 1
}

// put remembers that the password was right for u.
func (p *proofs) put(u *auth.User, given proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.byName[u.Name]; !known && len(p.byName) >= proofsLimit {
		for name := range p.byName {
			delete(p.byName, name)
			break
		}
	}
	p.byName[u.Name] = verified{proof: given, hash: u.Hash}
}
