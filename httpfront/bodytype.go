package httpfront

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/valyala/fasthttp"
)

// bodyTypes warns of clients whose bodies are ignored: v2 takes a value only from a form, and
// stores an empty one if the body is of another type.
type bodyTypes struct {
	log *slog.Logger

	mu   sync.Mutex
	told map[netip.Addr]struct{}
}

// toldLimit bounds the addresses that are remembered; further ones aren't warned of.
const toldLimit = 1000

// look is called once for each PUT and POST of a key, when its parameters have been read.
func (b *bodyTypes) look(ctx *fasthttp.RequestCtx, in *input, p *params) {
	if len(in.body) == 0 || p[paramValue].given || p[paramRefresh].given || p[paramDir].given || isForm(in.contentType) {
		return
	}
	from := clientAddress(ctx.RemoteAddr())
	b.mu.Lock()
	_, before := b.told[from]
	if before || len(b.told) >= toldLimit {
		b.mu.Unlock()
		return
	}
	b.told[from] = struct{}{}
	b.mu.Unlock()
	b.log.Warn("a client sends a body that isn't a form, so an empty value is stored: it should send value=... with the type "+formType,
		"from", from, "type", string(in.contentType), "size_b", len(in.body))
}

// clientAddress is the address of a client without its port.
func clientAddress(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
