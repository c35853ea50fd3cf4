package httpfront

import (
	"fmt"
	"math/big"
	"regexp"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestRangesOfTenBytes(t *testing.T) {
	for field, want := range map[string]string{
		"bytes=0-0":                    "0 1 1",
		"bytes=2-4":                    "2 5 1",
		"bytes=2-":                     "2 10 1",
		"bytes=9-99":                   "9 10 1",
		"bytes=-3":                     "7 10 1",
		"bytes=-99":                    "0 10 1",
		"bytes= 1-2 ":                  "1 3 1",
		"bytes=0-18446744073709551615": "0 10 1",
		"bytes=10-":                    "0 0 2",
		"bytes=99-100":                 "0 0 2",
		"bytes=-0":                     "0 0 2",
		"bytes=4-2":                    "0 0 0",
		"bytes=-":                      "0 0 0",
		"bytes=":                       "0 0 0",
		"bytes=0-1,3-4":                "0 0 0",
		"bytes=a-b":                    "0 0 0",
		"bytes=0-18446744073709551616": "0 0 0",
		"lines=0-1":                    "0 0 0",
		"bytes 0-1":                    "0 0 0",
	} {
		first, end, form := readRange([]byte(field), 10)
		if got := fmt.Sprint(first, end, form); got != want {
			t.Errorf("%s: got %s want %s", field, got, want)
		}
	}
	if _, _, form := readRange([]byte("bytes=0-"), 0); form != rangeOut {
		t.Error("nothing has a first byte")
	}
}

// TestARangeOfWhatMayDiffer: a part goes with the part that the client has only if its tag is strong, and the same.
func TestARangeOfWhatMayDiffer(t *testing.T) {
	for _, c := range []struct {
		tag, condition string
		holds          bool
	}{
		{`"a-1"`, ``, true}, {`"a-1"`, `"a-1"`, true}, {`"a-1"`, `"a-2"`, false}, {`"a-1"`, `W/"a-1"`, false},
		{`W/"a-1"`, `W/"a-1"`, false}, {`W/"a-1"`, `"a-1"`, false}, {`W/"a-1"`, ``, true},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Response.Header.SetCanonical(headerETag, []byte(c.tag))
		if c.condition != "" {
			ctx.Request.Header.Set(fasthttp.HeaderIfRange, c.condition)
		}
		if got := new(Server).rangeHolds(&ctx); got != c.holds {
			t.Errorf("%s of %s: %t", c.condition, c.tag, got)
		}
	}
}

var oneRange = regexp.MustCompile(`^bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*$`)

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=2-", "bytes=-3", "bytes=4-2", "bytes=0-1,3-4", "bytes=-"} {
		f.Add(seed, uint16(10))
	}
	f.Fuzz(func(t *testing.T, field string, size uint16) {
		first, end, form := readRange([]byte(field), int(size))
		want := rangeNone
		if m := oneRange.FindStringSubmatch(field); m != nil && m[1]+m[2] != "" {
			n, all := big.NewInt(int64(size)), new(big.Int).SetUint64(1<<64-1)
			a, b := new(big.Int), new(big.Int).Set(all)
			a.SetString(m[1], 10)
			if m[2] != "" {
				b.SetString(m[2], 10)
			}
			switch {
			case a.Cmp(all) > 0 || b.Cmp(all) > 0 || m[1] != "" && m[2] != "" && a.Cmp(b) > 0:
			case m[1] == "" && b.Sign() > 0 && size > 0, m[1] != "" && a.Cmp(n) < 0:
				want = rangeIn
			default:
				want = rangeOut
			}
		}
		if form != want || form == rangeIn && (first < 0 || first >= end || end > int(size)) || form != rangeIn && (first != 0 || end != 0) {
			t.Fatalf("%q of %d bytes: got %d to %d, %d, want %d", field, size, first, end, form, want)
		}
	})
}
