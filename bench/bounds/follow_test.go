package bounds_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// follow reads the events of what is replaced, from one index to the next, as a client that resumes. It must get each
// once, until 401 says that it can't.
func (c *crowd) follow() {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	resp, err := http.Get(c.node.URL + "/v2/keys/beside")
	if err != nil {
		c.t.Error(err)
		return
	}
	_ = resp.Body.Close()
	since, _ := strconv.Atoi(resp.Header.Get("X-Etcd-Index"))
	seen, watches, missed := map[string]bool{}, 0, false
	for since++; len(seen) < past && !missed; watches++ {
		missed, err = c.read(ctx, fmt.Sprintf("%s/v2/keys/r?recursive=true&wait=true&stream=true&waitIndex=%d", c.node.URL, since), func(key string, index int) bool {
			if seen[key] || index < since {
				c.t.Errorf("%s at %d came again, at %d or later", key, index, since)
			}
			seen[key], since = true, index+1
			return len(seen) < past
		})
		if err != nil {
			c.t.Errorf("a client that reads has %d events of %d: %v", len(seen), past, err)
			return
		}
	}
	c.t.Logf("a client that reads had %d events of %d by %d watches; 401: %v", len(seen), past, watches, missed)
}

var eventHead = regexp.MustCompile(`^{"action":"set","node":{"key":"([^"]*)","value":"small","modifiedIndex":([0-9]+)`)

// read reads a stream to its end, or to the last event, and reports whether it is refused as one that reaches back too far.
func (c *crowd) read(ctx context.Context, url string, event func(key string, index int) (more bool)) (missed bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		if bytes.Contains(body, []byte(`"errorCode":401`)) {
			return true, err
		}
		return false, fmt.Errorf("%d %s %w", resp.StatusCode, body, err)
	}
	for lines := bufio.NewReaderSize(resp.Body, 1<<20); ; {
		line, err := lines.ReadSlice('\n')
		head := eventHead.FindStringSubmatch(string(line[:min(len(line), 200)]))
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err
		case head == nil:
			return false, errors.New("what comes is no event")
		}
		index, _ := strconv.Atoi(head[2])
		if !event(head[1], index) {
			return false, nil
		}
	}
}
