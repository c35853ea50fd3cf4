package compat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// answerLimit bounds how long an answer may take. Nothing waits for it to pass,
	// unless a server is at fault.
	answerLimit = 15 * time.Second
	// pollInterval is the pace at which a condition is looked at again.
	pollInterval = 10 * time.Millisecond
)

// A request as it is sent over the wire; net/http would normalize it.
type request struct {
	method string
	target string
	header []string // lines, as they are sent
	body   string
	kind   string // how the statistics should count it: sets, create, ...
	as     string // whose credentials a fleet sends: a user of seedUser's; "" for the guest
	like   string // the user that etcd is asked as where its guest may do too much
}

// bytes renders r. Like curl, a PUT or POST with a body is a form unless a
// header says otherwise; the header "Content-Type: -" sends none.
func (r request) bytes(host string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, host)
	typed := false
	for _, line := range r.header {
		typed = typed || strings.HasPrefix(line, "Content-Type:")
		if line != "Content-Type: -" {
			b.WriteString(line + "\r\n")
		}
	}
	if r.body != "" && !typed {
		b.WriteString("Content-Type: application/x-www-form-urlencoded\r\n")
	}
	if r.body != "" || r.method == "PUT" || r.method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	return b.Bytes()
}

// A head is the first part of an answer, in the server's own spelling; net/http
// would canonicalise the names.
type head struct {
	status string // "200 OK"
	proto  string
	header []string // "Name: value", in the order sent
}

func (h head) get(name string) string {
	for _, line := range h.header {
		n, v, _ := strings.Cut(line, ": ")
		if n == name {
			return v
		}
	}
	return ""
}

func (h head) code() int {
	n, _ := strconv.Atoi(h.status[:min(3, len(h.status))])
	return n
}

// A wire is one connection to a server, with everything read from it.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	seen *bytes.Buffer // what has been parsed since the last reset
}

func dial(address string) (*wire, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReader(conn), seen: new(bytes.Buffer)}, nil
}

func (w *wire) close() { w.conn.Close() }

func (w *wire) send(b []byte) error {
	if err := w.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// line reads one line and drops its end.
func (w *wire) line() (string, error) {
	s, err := w.in.ReadString('\n')
	w.seen.WriteString(s)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r"), nil
}

func (w *wire) exactly(n int) (string, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(w.in, b)
	w.seen.Write(b)
	return string(b), err
}

// readHead reads a status line and headers.
func (w *wire) readHead() (h head, err error) {
	first, err := w.line()
	if err != nil {
		return h, err
	}
	h.proto, h.status, _ = strings.Cut(first, " ")
	for {
		line, err := w.line()
		if err != nil || line == "" {
			return h, err
		}
		h.header = append(h.header, line)
	}
}

// readChunk reads one chunk of a chunked body, which is empty at the end.
func (w *wire) readChunk() (string, error) {
	size, err := w.line()
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(size, 16, 31)
	if err != nil {
		return "", fmt.Errorf("chunk size %q", size)
	}
	data, err := w.exactly(int(n))
	if err != nil {
		return "", err
	}
	if end, err := w.line(); err != nil || end != "" {
		return "", fmt.Errorf("chunk ends with %q, %v", end, err)
	}
	return data, nil
}

// readBody reads the body that h announces in answer to method.
func (w *wire) readBody(method string, h head) (string, error) {
	switch {
	case method == "HEAD" || h.code() == 204 || h.code() == 304:
		return "", nil
	case h.get("Transfer-Encoding") == "chunked":
		var body strings.Builder
		for {
			chunk, err := w.readChunk()
			if err != nil || chunk == "" {
				return body.String(), err
			}
			body.WriteString(chunk)
		}
	case h.get("Content-Length") != "":
		n, err := strconv.Atoi(h.get("Content-Length"))
		if err != nil {
			return "", err
		}
		return w.exactly(n)
	}
	b, err := io.ReadAll(w.in)
	w.seen.Write(b)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // the server closed without reading all that we sent
	}
	return string(b), err
}

// A caller sends one request after the other and keeps its connection while
// the server does.
type caller struct {
	address string
	w       *wire
}

func (c *caller) close() {
	if c.w != nil {
		c.w.close()
		c.w = nil
	}
}

// do sends r and reads the whole answer. A kept connection that the server
// closed in between is replaced.
func (c *caller) do(r request) (h head, body string, err error) {
	fresh := c.w == nil
	if fresh {
		if c.w, err = dial(c.address); err != nil {
			return h, "", err
		}
	}
	h, body, err = c.exchange(r)
	if err != nil {
		untouched := !fresh && c.w.seen.Len() == 0
		c.close()
		if untouched {
			return c.do(r)
		}
		return h, body, fmt.Errorf("%s %s: %w", r.method, r.target, err)
	}
	if slices.Contains(h.header, "Connection: close") || h.proto == "HTTP/1.0" {
		c.close()
	}
	return h, body, nil
}

func (c *caller) exchange(r request) (h head, body string, err error) {
	c.w.seen.Reset()
	if err = c.w.send(r.bytes(c.address)); err != nil {
		return h, "", err
	}
	if h, err = c.w.readHead(); err != nil {
		return h, "", err
	}
	body, err = c.w.readBody(r.method, h)
	return h, body, err
}

// stats reads the statistics of the store.
func (c *caller) stats() (map[string]int64, error) {
	_, body, err := c.do(request{method: "GET", target: "/v2/stats/store"})
	if err != nil {
		return nil, err
	}
	var stats map[string]int64
	return stats, json.Unmarshal([]byte(body), &stats)
}
