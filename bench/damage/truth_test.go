package damage

import (
	"testing"
	"time"
)

func TestDiffersByWhenNodesExpire(t *testing.T) {
	const first = `{"key":"/a","expiration":"2026-11-30T00:00:10.5Z","ttl":5,"modifiedIndex":3}`
	for end, differs := range map[string]bool{
		"2026-11-30T00:00:10.5Z":   false,
		"2026-11-30T00:00:10.496Z": false,
		"2026-11-30T00:00:10.494Z": true, // earlier
		"2026-11-30T00:00:25Z":     false,
		"2026-11-30T00:00:27Z":     true, // later than it could be
	} {
		read := func(text string, at time.Time) (v Truth) {
			var err error
			if v.Tree, v.Ends, err = untimed([]byte(text)); err != nil {
				t.Fatal(err)
			}
			v.At = at
			return v
		}
		before := read(first, time.Unix(100, 0))
		after := read(`{"key":"/a","expiration":"`+end+`","ttl":9,"modifiedIndex":3}`, time.Unix(110, 0))
		if why := before.Differs(&after); (why != "") != differs {
			t.Errorf("%s: %q", end, why)
		}
	}
}
