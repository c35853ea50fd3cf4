package damage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"

	"copse/bench/v2api"
)

// Acked is what a server has acknowledged to one client that writes to a few keys, one
// write after the other. After a write of unknown outcome, either may be the value.
type Acked map[string]map[string]bool

// Write sets a key to a value of its own. The error is that of a write whose outcome is
// not known.
func (a Acked) Write(client *http.Client, base string, rng *rand.Rand) error {
	key := fmt.Sprintf("/k%d", rng.IntN(40))
	size := rng.IntN(300)
	if rng.IntN(20) == 0 {
		size = 100 << 10
	}
	r := v2api.Request{Method: http.MethodPut, Key: key, Value: strings.Repeat(fmt.Sprintf("%016x", rng.Uint64()), 1+size/16)}
	reply, err := v2api.Do(context.Background(), client, base, &r)
	if outcome, _, _ := reply.Parse(err); outcome != v2api.Acked {
		if a[key] == nil {
			a[key] = map[string]bool{"": true}
		}
		a[key][r.Value] = true
		return fmt.Errorf("%.60v: %v, %d %s", &r, err, reply.Status, reply.Body)
	}
	a[key] = map[string]bool{r.Value: true}
	return nil
}

// Clone returns a copy.
func (a Acked) Clone() Acked {
	c := Acked{}
	for key, values := range a {
		c[key] = maps.Clone(values)
	}
	return c
}

// Check reads every key through the log, and says which one has a value that it can't have.
func (a Acked) Check(client *http.Client, base string) error {
	resp, err := get(context.Background(), client, base+"/v2/keys/?recursive=true&quorum=true")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var ev v2api.Event
	if err := json.Unmarshal(body, &ev); err != nil {
		return err
	}
	nodes := map[string]v2api.Node{}
	v2api.Flatten(&ev.Node, nodes)
	for key, values := range a {
		if !values[nodes[key].Value] {
			return fmt.Errorf("%s has a value of %d bytes that it can't have", key, len(nodes[key].Value))
		}
	}
	return nil
}
