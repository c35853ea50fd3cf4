package httpfront_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"copse/httpfront"
)

// A web page can send a POST without asking first, from its reader's machine. What is
// copse's own isn't changed by that.
func TestAWebPageChangesNothingOfCopsesOwn(t *testing.T) {
	for _, c := range []struct {
		allowed, origin string
		want            int
	}{
		{"", "", 200},
		{"", "http://evil.example", 403},
		{"", "null", 403},
		{"http://good.example", "http://evil.example", 403},
		{"http://good.example", "http://good.example", 200},
		{"*", "http://evil.example", 200},
	} {
		o := httpfront.Options{}
		if c.allowed != "" {
			o.CORS = []string{c.allowed}
		}
		s := serve(t, o)
		before := s.backend.auth.Load()
		var asked atomic.Bool // by a poll loop, too, after a change
		s.backend.asked = func() { asked.Store(true) }
		body := `{"password":"pw"}`
		head := []string{"POST /v2/copse/auth/init HTTP/1.1", "Host: h", "Content-Type: text/plain", "Content-Length: " + itoa(len(body))}
		if c.origin != "" {
			head = append(head, "Origin: "+c.origin)
		}
		got := parse(t, s.send(lines(head...)+body))
		if got.status != c.want {
			t.Errorf("--cors=%s, a page of %s: got %+v, want %d", c.allowed, c.origin, got, c.want)
		}
		if c.want == 403 && (asked.Load() || s.backend.auth.Load() != before || !strings.Contains(got.body, "--cors")) {
			t.Errorf("a page of %s: asked %v, changed %v, answered %q", c.origin, asked.Load(), s.backend.auth.Load() != before, got.body)
		}
	}
}

// What else a page could POST without asking first is refused for its type, as in v2.
func TestAWebPageAddsNoMember(t *testing.T) {
	s := serve(t, httpfront.Options{})
	body := `{"peerURLs":["http://evil.example:2380"]}`
	got := parse(t, s.send(lines("POST /v2/members HTTP/1.1", "Host: h", "Origin: http://evil.example", "Content-Type: text/plain", "Content-Length: "+itoa(len(body)))+body))
	if got.status != 415 {
		t.Errorf("got %+v", got)
	}
}

// Go's HTTP library answers some requests itself, without what etcd adds to every answer.
func TestWhatGoAnswersHasNoCORS(t *testing.T) {
	var o httpfront.Options
	o.CORS = []string{"*"}
	s := serve(t, o)
	for head, want := range map[string]bool{
		"OPTIONS * HTTP/1.1":                       false,
		"OPTIONS * HTTP/1.0":                       false,
		"GET /version HTTP/1.1\r\nExpect: nothing": false,
		"OPTIONS / HTTP/1.1":                       true,
		"CONNECT h:1 HTTP/1.1":                     true,
	} {
		if got := s.send(lines(head, "Host: h")); strings.Contains(got, "Access-Control-") != want {
			t.Errorf("%q: CORS should be there: %v, got %q", head, want, got)
		}
	}
}
