package httpfront

import (
	"bytes"
	"math"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// Listings are compressed for clients that accept it, from gzipFrom bytes on: they repeat
// themselves, so that a tenth is left, and it is done once for all readers of a listing that is
// cached. A single value is not. Most clients say that they accept gzip without anybody having asked them
// to, and it would make their reads of large values several times as expensive
// (docs/decisions/2026-11-30-gzip.md).

const (
	gzipFrom = 1 << 10
	// gzipStep is how many bytes go into a compressor at a time, so that what comes out needs little room.
	gzipStep = 32 << 10
	// The compressed form of a cached listing is kept if it has at most one in packLeast of its bytes, and packLimit
	// in all. One listing is compressed at a time: so that is also what the others take meanwhile.
	packLeast = 2
	packLimit = 4 << 20
)

var (
	headerVary      = []byte("Vary")
	acceptEncoding  = []byte("Accept-Encoding")
	contentEncoding = []byte("Content-Encoding")
	codingGzip      = []byte("gzip")
)

// wantsGzip reports whether an answer to the request may be compressed, by its Accept-Encoding. An answer to HEAD or to
// HTTP/1.0 never is.
func wantsGzip(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	accepts := h.PeekBytes(acceptEncoding)
	return len(accepts) > 0 && h.IsHTTP11() && !ctx.IsHead() && prefersGzip(accepts)
}

// prefersGzip reads Accept-Encoding as in RFC 9110: whether gzip may be used, and identity isn't
// preferred. What can't be read prefers nothing.
func prefersGzip(list []byte) bool {
	zipped, identity, others := math.NaN(), math.NaN(), math.NaN()
	for len(list) > 0 {
		var element []byte
		element, list, _ = bytes.Cut(list, []byte{','})
		coding, weight, weighted := bytes.Cut(element, []byte{';'})
		coding = bytes.Trim(coding, " \t")
		q, ok := 1.0, true
		if weighted {
			q, ok = readWeight(bytes.Trim(weight, " \t"))
		}
		switch {
		case !ok || len(coding) == 0 && weighted:
			return false
		case bytes.EqualFold(coding, codingGzip), bytes.EqualFold(coding, []byte("x-gzip")):
			zipped = q
		case bytes.EqualFold(coding, []byte("identity")):
			identity = q
		case string(coding) == "*":
			others = q
		}
	}
	if math.IsNaN(zipped) {
		zipped = others
	}
	return zipped > 0 && !(identity > zipped)
}

// readWeight reads "q=0.5".
func readWeight(text []byte) (q float64, ok bool) {
	if len(text) < 3 || text[0]|0x20 != 'q' || text[1] != '=' {
		return 0, false
	}
	whole, digits := text[2], text[3:]
	if len(digits) > 0 {
		if digits[0] != '.' || len(digits) > 4 {
			return 0, false
		}
		digits = digits[1:]
	}
	if whole != '0' && whole != '1' {
		return 0, false
	}
	thousandths, unit := int(whole-'0')*1000, 100
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		thousandths += int(d-'0') * unit
		unit /= 10
	}
	return float64(thousandths) / 1000, thousandths <= 1000
}

// compressors are those that may be in use at a time. Each takes about a megabyte, for as long
// as its client takes the answer. Who finds none free gets the answer as it is.
type compressors struct {
	free    chan *compressor
	packing chan struct{} // has room while no listing is being compressed for the cache
}

// compressor compresses one answer after the other.
type compressor struct {
	to  *gzip.Writer // to out
	out bytes.Buffer
}

func newCompressors() compressors {
	n := 4 * runtime.GOMAXPROCS(0)
	c := compressors{free: make(chan *compressor, n), packing: make(chan struct{}, 1)}
	for range n {
		c.free <- nil // made when it is needed
	}
	return c
}

// take returns a compressor that is free, to be given back; nil if there is none.
func (c compressors) take() *compressor {
	select {
	case z := <-c.free:
		if z == nil {
			z = &compressor{}
			z.to, _ = gzip.NewWriterLevel(&z.out, gzip.BestSpeed) // there is such a level
		}
		z.out.Reset()
		z.to.Reset(&z.out)
		return z
	default:
		return nil
	}
}

// give gives a compressor back.
func (c compressors) give(z *compressor) {
	if z.out.Cap() > pooledBodyLimit {
		z.out = bytes.Buffer{}
	}
	c.free <- z
}

// zipped is the rest of a listing, compressed on its way. It implements tree.Rest.
type zipped struct {
	z     *compressor
	all   compressors
	plain []byte    // that has to go in still
	rest  tree.Rest // behind it
	more  bool      // rest has more
}

// Size implements tree.Rest.
func (*zipped) Size() int { return -1 }

// Next implements tree.Rest.
func (p *zipped) Next() (part []byte, more bool, err error) {
	p.z.out.Reset()
	for p.z.out.Len() < gzipStep {
		if len(p.plain) == 0 {
			if !p.more {
				_ = p.z.to.Close() // a buffer takes everything
				return p.z.out.Bytes(), false, nil
			}
			if p.plain, p.more, err = p.rest.Next(); err != nil {
				return nil, false, err
			}
		}
		n := min(len(p.plain), gzipStep)
		_, _ = p.z.to.Write(p.plain[:n])
		p.plain = p.plain[n:]
	}
	return p.z.out.Bytes(), true, nil
}

// Close implements tree.Rest.
func (p *zipped) Close() {
	p.rest.Close()
	p.all.give(p.z)
}

// zip makes the answer, a listing of front and rest, a compressed one if it can.
func (s *Server) zip(ctx *fasthttp.RequestCtx, front []byte, rest tree.Rest) ([]byte, tree.Rest) {
	h := &ctx.Response.Header
	h.SetCanonical(headerVary, acceptEncoding)
	if kept, ok := rest.(tree.Kept); ok {
		packed := s.zipOnce(kept)
		if packed == nil {
			return front, rest
		}
		h.SetCanonical(contentEncoding, codingGzip)
		return nil, packed
	}
	z := s.compressors.take()
	if z == nil {
		return front, rest
	}
	h.SetCanonical(contentEncoding, codingGzip)
	return nil, &zipped{z: z, all: s.compressors, plain: front, rest: rest, more: true}
}

// zipOnce returns a cached listing compressed, which is done once; nil if it isn't, or has to stay as it is.
func (s *Server) zipOnce(kept tree.Kept) tree.Rest {
	packed, missing := kept.Packed()
	if !missing {
		return packed
	}
	select {
	case s.compressors.packing <- struct{}{}:
		defer func() { <-s.compressors.packing }()
		return kept.Pack(s.packed(kept.Text()))
	default:
		return nil // who comes while something is being compressed gets it as it is
	}
}

// packed returns text compressed; nil if that isn't worth being kept, and false if it can't be said.
func (s *Server) packed(text []byte) (packed []byte, known bool) {
	z := s.compressors.take()
	if z == nil {
		return nil, false
	}
	defer s.compressors.give(z)
	most := min(len(text)/packLeast, packLimit)
	for len(text) > 0 && z.out.Len() <= most {
		n := min(len(text), gzipStep)
		_, _ = z.to.Write(text[:n]) // a buffer takes everything
		text = text[n:]
	}
	if _ = z.to.Close(); z.out.Len() > most {
		return nil, true
	}
	return bytes.Clone(z.out.Bytes()), true
}
