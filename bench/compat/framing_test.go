package compat

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
)

// TestSpellings sends requests whose heads are spelled in all ways. Both servers have to give
// the same status at once; 0 is a connection that is closed without one.
func TestSpellings(t *testing.T) {
	t.Parallel()
	var servers [2]*peer.Server
	for i, kind := range []peer.Kind{peer.Etcd34, peer.Kind(*candidate)} {
		server, err := peer.Launch(kind, peer.Options{Args: serverArgs("", kind)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
		servers[i] = server
	}
	const form = "Content-Type: application/x-www-form-urlencoded"
	head := func(size int) string { // exactly so large
		const begin, end = "GET /version HTTP/1.1\r\nHost: h\r\nA: ", "\r\n\r\n"
		return begin + strings.Repeat("a", size-len(begin)-len(end)) + end
	}
	for name, c := range map[string]struct {
		text        string
		etcd, copse int
	}{
		"LF, HTTP/1.0":             {"GET /version HTTP/1.0\n\n", 200, 200},
		"LF":                       {"GET /version HTTP/1.1\nHost: h\n\n", 200, 200},
		"some LF":                  {"GET /version HTTP/1.1\r\nHost: h\nA: b\r\n\n", 200, 200},
		"LF, then CRLF":            {"GET /version HTTP/1.1\nHost: h\r\n\r\n", 200, 200},
		"PUT, LF":                  {"PUT /v2/keys/lf HTTP/1.1\nHost: h\n" + form + "\nContent-Length: 9\n\nvalue=a\nb", 201, 201},
		"PUT, LF and chunks":       {"PUT /v2/keys/chunks HTTP/1.1\nHost: h\n" + form + "\nTransfer-Encoding: chunked\n\n7\r\nvalue=x\r\n0\r\n\r\n", 201, 201},
		"LF around chunks":         {"PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\n" + form + "\r\nTransfer-Encoding: chunked\r\n\r\n7\nvalue=x\n0\n\n", 400, 400},
		"a CR in a value":          {"GET /version HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400, 400},
		"a CR in the empty line":   {"GET /version HTTP/1.1\r\nHost: h\r\n\r\r\n", 400, 400},
		"two lengths":              {"PUT /v2/keys/a HTTP/1.1\nHost: h\nContent-Length: 1\nContent-Length: 2\n\nab", 400, 400},
		"a space before the colon": {"PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na", 400, 400},
		"no colon":                 {"GET /version HTTP/1.1\r\nHost h\r\n\r\n", 400, 400},
		"as large as may be":       {head(1<<20 + 4<<10), 200, 200},
		"too large by a byte":      {head(1<<20 + 4<<10 + 1), 431, 431},
		"HTTP/1.2":                 {"GET /version HTTP/1.2\r\nHost: h\r\n\r\n", 200, 200},
		"HTTP/1.9, chunks and LF":  {"PUT /v2/keys/minor HTTP/1.9\nHost: h\n" + form + "\nTransfer-Encoding: chunked\n\n7\r\nvalue=x\r\n0\r\n\r\n", 201, 201},
		"HTTP/1.2 without a host":  {"GET /version HTTP/1.2\r\n\r\n", 400, 400},
		"an empty host":            {"GET /version HTTP/1.1\r\nHost: \r\n\r\n", 200, 200},
		"an empty host, another":   {"GET http://h/version HTTP/1.1\nhost:\n\n", 200, 200},
		"no host":                  {"GET http://h/version HTTP/1.1\r\n\r\n", 400, 400},
		"two hosts":                {"GET /version HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400, 400},
		"a space in the host":      {"GET /version HTTP/1.1\r\nHost: a b\r\n\r\n", 400, 400},
		"@ in the host, HTTP/1.0":  {"GET /version HTTP/1.0\r\nHost: a@b\r\n\r\n", 400, 400},
		"CONNECT":                  {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 404, 404},
		"CONNECT, no port":         {"CONNECT h:p HTTP/1.1\r\nHost: h\r\n\r\n", 400, 400},
		"CONNECT with a path":      {"CONNECT h:1/v2/keys HTTP/1.1\r\nHost: h\r\n\r\n", 405, 405},
		"CONNECT, an unclean path": {"CONNECT /v2/keys//a HTTP/1.1\r\nHost: h\r\n\r\n", 405, 405},
		// See malformed-http in differences.md.
		"HTTP/1.0 and chunks":   {"PUT /v2/keys/old HTTP/1.0\r\n" + form + "\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nvalue=x\r\n0\r\n\r\n", 201, 501},
		"HTTP/2.1":              {"GET /version HTTP/2.1\r\nHost: h\r\n\r\n", 0, 400},
		"the same length twice": {"PUT /v2/keys/twice HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 201, 400},
		"a length and chunks":   {"PUT /v2/keys/both HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 201, 400},
		"a continued header":    {"GET /version HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 200, 400},
		"LF after the chunks":   {"PUT /v2/keys/last HTTP/1.1\r\nHost: h\r\n" + form + "\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nvalue=x\r\n0\n\r\n", 201, 400},
		// See header-limit.
		"a line of 64 KiB": {"PUT /v2/keys/query?value=" + strings.Repeat("v", 64<<10) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 0, 201},
	} {
		for i, want := range []int{c.etcd, c.copse} {
			if got := status(t, servers[i].Address, c.text); got != want {
				t.Errorf("%s: %s answers %d want %d", name, servers[i].Kind, got, want)
			}
		}
	}
}

// status is the status of the answer to text, 0 if the connection is closed without one.
func status(t *testing.T, address, text string) (code int) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, text) // a refusal may come before the end
	if _, err := fmt.Fscanf(c, "HTTP/1.%d %d", new(int), &code); err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("no answer to %.60q", text)
		}
		return 0
	}
	return code
}
