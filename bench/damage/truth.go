package damage

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// Truth is what a server shows: the index, the whole tree, and every event that a watcher
// can still ask for.
type Truth struct {
	Index  uint64
	Tree   []byte      // without when nodes expire:
	Ends   []time.Time // in the order of the tree
	Events []byte
	At     time.Time // when it was read
}

// expiration is the only part of the tree that depends on when it is asked for, and on how long
// nothing could be written: times to live stand still then. Events show what was true when
// they happened.
var expiration = regexp.MustCompile(`"expiration":"([^"]*)","ttl":\d+`)

// untimed returns the tree without when nodes expire, and that.
func untimed(text []byte) (tree []byte, ends []time.Time, err error) {
	for _, found := range expiration.FindAllSubmatch(text, -1) {
		end, err := time.Parse(time.RFC3339Nano, string(found[1]))
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, end)
	}
	return expiration.ReplaceAll(text, []byte(`"expiration":true`)), ends, nil
}

// A node may be shown to expire later than before by the time in between, in which the server may have
// been away, and by what each new leader adds. It is shown to expire earlier by no more than the
// time of day that clients see may be behind the leader's.
const (
	endEarlier = 5 * time.Millisecond
	endLater   = 2 * 3 * time.Second
)

// endKey is written last, so that it is known which event is the last: with several shards,
// X-Etcd-Index grows while nothing changes.
const endKey = "/end"

var lastWrite = regexp.MustCompile(`"key":"` + endKey + `","value":"[^"]*","modifiedIndex":(\d+)`)

// window is how many events a server keeps; with several shards, each of them does.
const window = 1000

// Read asks a server for all that it has.
func Read(ctx context.Context, client *http.Client, base string, shards int) (t Truth, err error) {
	resp, err := get(ctx, client, base+"/v2/keys/?recursive=true&sorted=true")
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	if t.Index, err = strconv.ParseUint(resp.Header.Get("X-Etcd-Index"), 10, 64); err != nil {
		return t, err
	}
	if t.Tree, err = io.ReadAll(resp.Body); err != nil {
		return t, err
	}
	if t.Tree, t.Ends, err = untimed(t.Tree); err != nil {
		return t, err
	}
	t.At = time.Now()
	end := lastWrite.FindSubmatch(t.Tree)
	if end == nil {
		return t, nil // damaged: the tree differs
	}
	last, err := strconv.ParseUint(string(end[1]), 10, 64)
	if err != nil {
		return t, err
	}
	t.Events, err = events(ctx, client, base, last)
	return t, err
}

func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		err = fmt.Errorf("status %d %s", resp.StatusCode, body)
	}
	return resp, err
}

// events reads the recent past, up to the index last, from a stream.
func events(ctx context.Context, client *http.Client, base string, last uint64) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	first := max(last, window) - window + 1
	resp, err := get(ctx, client, fmt.Sprintf("%s/v2/keys/?recursive=true&wait=true&stream=true&waitIndex=%d", base, first))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var all bytes.Buffer
	lines := bufio.NewReader(resp.Body)
	ending := fmt.Appendf(nil, `"modifiedIndex":%d,`, last)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("the stream of events ended after %d bytes: %w", all.Len(), err)
		}
		all.Write(line)
		node, _, _ := bytes.Cut(line, []byte(`"prevNode"`))
		if bytes.Contains(node, ending) {
			return all.Bytes(), nil
		}
	}
}

// Differs says how what was acknowledged differs from what is served; "" if it doesn't.
func (t *Truth) Differs(served *Truth) string {
	switch {
	case served.Index < t.Index:
		return fmt.Sprintf("the index fell from %d to %d", t.Index, served.Index)
	case !bytes.Equal(served.Tree, t.Tree):
		return fmt.Sprintf("the tree differs: %s", difference(t.Tree, served.Tree))
	case !bytes.Equal(served.Events, t.Events):
		return fmt.Sprintf("the events differ: %s", difference(t.Events, served.Events))
	}
	away := served.At.Sub(t.At)
	for i, end := range t.Ends {
		if moved := served.Ends[i].Sub(end); moved < -endEarlier || moved > away+endLater {
			return fmt.Sprintf("node %d of those that expire does so at %v, and not at %v, %v later", i, served.Ends[i], end, away)
		}
	}
	return ""
}

// difference quotes both texts from where they part.
func difference(want, got []byte) string {
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	from := max(at-60, 0)
	return fmt.Sprintf("%d and %d bytes, want ...%.200s, got ...%.200s", len(want), len(got), want[from:], got[from:])
}
