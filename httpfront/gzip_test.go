package httpfront

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"copse/statemachine/tree"
)

func TestWhoPrefersGzip(t *testing.T) {
	for field, want := range map[string]bool{
		"gzip":                          true,
		"GZIP":                          true,
		"x-gzip":                        true,
		"gzip, deflate":                 true,
		"deflate, gzip;q=1.0, *;q=0.5":  true,
		"br;q=1, *":                     true,
		"*;q=0.1":                       true,
		" ,, gzip ; q=0.001":            true,
		"gzip;Q=0.5":                    true,
		"identity;q=0.5, gzip;q=0.5":    true,
		"identity;q=0, gzip":            true,
		"":                              false,
		"deflate, br":                   false,
		"gzip;q=0":                      false,
		"gzip;q=0.000":                  false,
		"*, gzip;q=0":                   false,
		"identity, gzip;q=0.9":          false,
		"identity;q=0.501, gzip;q=0.50": false,
		"*;q=0":                         false,
		"gzip;q=1.001":                  false,
		"gzip;q=0.0001":                 false,
		"gzip;q=2":                      false,
		"gzip;q=.5":                     false,
		"gzip;level=9":                  false,
		"gzip;":                         false,
		";q=1, gzip":                    false,
	} {
		if got := prefersGzip([]byte(field)); got != want {
			t.Errorf("%q: got %v", field, got)
		}
	}
}

var (
	codingForm = regexp.MustCompile(`^[ \t]*([^ \t;,]([^;,]*[^ \t;,])?)?[ \t]*(;[ \t]*[qQ]=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)[ \t]*)?$`)
	noCoding   = regexp.MustCompile(`^[ \t]*;`)
)

func FuzzWhoPrefersGzip(f *testing.F) {
	for _, seed := range []string{"gzip", "gzip;q=0.5, identity;q=0.7", "*;q=0", "gzip;q=1.000,,", "gzip ; q=0", ";q=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		q, valid := map[string]float64{}, true
		for _, element := range strings.Split(field, ",") {
			m := codingForm.FindStringSubmatch(element)
			if m == nil || noCoding.MatchString(element) {
				valid = false
				break
			}
			weight := 1.0
			if m[4] != "" {
				weight, _ = strconv.ParseFloat(m[4], 64)
			}
			coding := strings.ToLower(m[1])
			if coding == "x-gzip" {
				coding = "gzip"
			}
			q[coding] = weight
		}
		zipped, ok := q["gzip"]
		if !ok {
			zipped = q["*"]
		}
		plain, ok := q["identity"]
		if !ok {
			plain = math.Inf(-1)
		}
		if got, want := prefersGzip([]byte(field)), valid && zipped > 0 && plain <= zipped; got != want {
			t.Fatalf("%q: got %v want %v", field, got, want)
		}
	})
}

// pieces is a listing in pieces, which may end with an error.
type pieces struct {
	list   []string
	err    error
	closed int
}

func (p *pieces) Size() int { return -1 }
func (p *pieces) Close()    { p.closed++ }

func (p *pieces) Next() ([]byte, bool, error) {
	if len(p.list) == 0 {
		return nil, false, p.err
	}
	part := p.list[0]
	p.list = p.list[1:]
	return []byte(part), len(p.list) > 0 || p.err != nil, nil
}

// unzipped reads what rest yields, all of it compressed.
func unzipped(t *testing.T, rest tree.Rest) string {
	t.Helper()
	var all bytes.Buffer
	for more := true; more; {
		part, goesOn, err := rest.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(part) > 3*gzipStep {
			t.Errorf("a part of %d bytes", len(part))
		}
		all.Write(part)
		more = goesOn
	}
	r, err := gzip.NewReader(&all)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// noise is text that can't be compressed.
func noise(size int) string {
	b := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{})
	_, _ = rng.Read(b)
	return string(b)
}

func TestACompressedListingIsTheListing(t *testing.T) {
	all := newCompressors()
	for name, p := range map[string]*pieces{
		"nothing behind":     {list: []string{""}},
		"one more":           {list: []string{"more"}},
		"long":               {list: []string{strings.Repeat("long", 100_000), "", strings.Repeat("x", 1<<20), "end"}},
		"hard to compress":   {list: []string{noise(300_000), noise(10)}},
		"no parts, but more": {},
	} {
		t.Run(name, func(t *testing.T) {
			want := "front" + strings.Join(p.list, "")
			z := &zipped{z: all.take(), all: all, plain: []byte("front"), rest: p, more: true}
			if got := unzipped(t, z); got != want {
				t.Errorf("%d bytes, want %d", len(got), len(want))
			}
			if z.Close(); p.closed != 1 || len(all.free) != cap(all.free) {
				t.Errorf("closed %d times, %d compressors are free", p.closed, len(all.free))
			}
		})
	}
	z := &zipped{z: all.take(), all: all, rest: &pieces{list: []string{"x"}, err: errors.New("disk on fire")}, more: true}
	for {
		if _, more, err := z.Next(); err != nil {
			break
		} else if !more {
			t.Fatal("a listing that failed is complete")
		}
	}
	z.Close()
	var taken []*compressor
	for c := all.take(); c != nil; c = all.take() {
		taken = append(taken, c)
	}
	if len(taken) != cap(all.free) {
		t.Errorf("%d compressors of %d", len(taken), cap(all.free))
	}
}

// keptText is a listing that is kept, with the other form of it.
type keptText struct {
	pieces
	text   string
	packed []byte
	known  bool
}

func (k *keptText) Text() []byte { return []byte(k.text) }

func (k *keptText) Packed() (tree.Rest, bool) {
	if len(k.packed) == 0 {
		return nil, !k.known
	}
	return &pieces{list: []string{string(k.packed)}}, false
}

func (k *keptText) Pack(text []byte, known bool) tree.Rest {
	k.packed, k.known = text, known
	rest, _ := k.Packed()
	return rest
}

func TestAKeptListingIsCompressedOnce(t *testing.T) {
	s := &Server{reused: reused{compressors: newCompressors()}}
	k := &keptText{text: strings.Repeat("a listing", 10_000)}
	for i := range 3 {
		rest := s.zipOnce(k)
		if rest == nil || unzipped(t, rest) != k.text || !k.known {
			t.Fatalf("time %d: not the listing", i)
		}
		s.compressors.free = nil // there is nothing more to compress
	}
	s = &Server{reused: reused{compressors: newCompressors()}}
	k = &keptText{text: noise(100_000)}
	if s.zipOnce(k) != nil || !k.known {
		t.Error("what doesn't shrink is kept compressed")
	}
	k.known = false
	s.compressors.packing <- struct{}{}
	if s.zipOnce(k) != nil || k.known {
		t.Error("two are compressed at a time")
	}
	<-s.compressors.packing
	for s.compressors.take() != nil {
	}
	if s.zipOnce(k) != nil || k.known {
		t.Error("it is known without a compressor what a listing comes to")
	}
	if len(s.compressors.packing) != 0 {
		t.Error("something is being compressed for ever")
	}
}

func BenchmarkCompress(b *testing.B) {
	for _, size := range []int{1, 100, 10_000} {
		var text bytes.Buffer
		for i := range size {
			fmt.Fprintf(&text, `,{"key":"/pools/eqiad/appserver/nginx/mw%04d","value":"{\"weight\": %d, \"pooled\": \"yes\"}","modifiedIndex":%d,"createdIndex":%d}`, i, i*7919%30, 1000000+i*13, 1000000+i*7)
		}
		b.Run(strconv.Itoa(size)+" nodes", func(b *testing.B) {
			s := &Server{reused: reused{compressors: newCompressors()}}
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				_, _ = s.packed(text.Bytes())
			}
		})
	}
}
