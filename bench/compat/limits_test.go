package compat

import (
	"fmt"
	"strings"
	"testing"

	"copse/bench/peer"
)

// TestLimits compares large and deep inputs: names, paths, values, queries,
// and the events that contain them.
func TestLimits(t *testing.T) {
	t.Parallel()
	peer.EachShards(t, peer.Kind(*candidate), compareLimits)
}

func compareLimits(t *testing.T, shards int) {
	f := newFleet(t, fleetKinds(shards), shards)
	defer f.close()
	put := func(key, body string) {
		t.Helper()
		f.ask(request{method: "PUT", target: "/v2/keys" + key, body: body})
		f.ask(request{method: "GET", target: "/v2/keys" + key})
	}
	for _, n := range []int{1, 255, 256, 1000, 4000, 10_000} {
		put("/"+strings.Repeat("n", n), "value=long name")
		put("/"+strings.Repeat("%3C", n/3+1), "value=long when shown")
	}
	for _, n := range []int{10, 100, 1000, 2500} {
		path := fmt.Sprintf("/deep%d", n) + strings.Repeat("/d", n)
		put(path, "value=deep")
		for _, query := range []string{"?recursive=true", "?recursive=true&sorted=true"} {
			f.ask(request{method: "GET", target: fmt.Sprintf("/v2/keys/deep%d%s", n, query)})
		}
		f.ask(request{method: "GET", target: "/v2/keys" + path + "/missing"})
		f.ask(request{method: "GET", target: "/v2/keys" + strings.Replace(path, "/d/d", "/d/missing/d", 1)})
		f.ask(request{method: "DELETE", target: fmt.Sprintf("/v2/keys/deep%d?recursive=true", n)})
	}
	for _, n := range []int{0, 1, 1000, 2047, 2048, 2049, 4096, 65_536, 1 << 20, 5 << 20} {
		p := &parked{key: "/watched", request: request{method: "GET", target: "/v2/keys/watched?wait=true"}}
		s := &parked{key: "/", stream: true, recursive: true,
			request: request{method: "GET", target: "/v2/keys/?wait=true&recursive=true&stream=true"}}
		f.park(p)
		f.park(s)
		put("/watched", "value="+strings.Repeat("v", n))
		f.ask(request{method: "PUT", target: "/v2/keys/watched?prevExist=true", body: "value=" + strings.Repeat("%00", n/3)})
		f.ask(request{method: "HEAD", target: "/v2/keys/missing"})
		f.ask(request{method: "PUT", target: "/v2/keys/watched?prevValue=no", body: "value=x"})
		f.collect(p)
		f.collect(s)
	}
	for _, n := range []int{1000, 6000} {
		f.ask(request{method: "GET", target: "/v2/keys/?prevValue=" + strings.Repeat("q", n)})
		f.ask(request{method: "GET", target: "/v2/keys/?" + strings.Repeat("q=1&", n/4)})
		f.ask(request{method: "GET", target: "/v2/keys/", header: []string{"X-Long: " + strings.Repeat("h", n)}})
	}
}
