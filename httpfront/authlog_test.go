package httpfront_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"copse/httpfront"
)

// Whatever is sent, no log line and no metric has a password, a header or a hash in it.
func TestSecretsAreNowhere(t *testing.T) {
	s, j := slowSite(t, time.Nanosecond, slog.LevelDebug) // each request is a line, with its path
	s.enable()
	const secret = "zq9secret"
	s.send(authorized("u:"+secret, "GET /v2/keys/x", ""))
	s.send(authorized("root:pw", "PUT /v2/auth/users/v", `{"user":"v","password":"`+secret+`"}`))
	s.send(authorized("v:"+secret, "GET http://v:"+secret+"@h/v2/keys/x", ""))
	s.send(authorized("root:pw", "PUT /v2/auth/users/v", `{"user":"v","password":"`+secret+strings.Repeat("x", 72)+`"}`))
	s.send(lines("GET /v2/keys/x HTTP/1.1", "Host: h", "Authorization: Bearer "+secret))
	s.send(lines("GET /v2/keys/x HTTP/1.1", "Host: h", "Authorization: Basic "+secret, "a b: c"))
	s.send("GET /v2/keys/x HTTP/1.1\r\nHost: h\r\nAuthorization: " + secret + "\r\nbroken\r\n\r\n")
	s.send("PUT /v2/auth/users/v HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n" + secret)
	s.eventually(func() bool { return len(j.lines(t)) >= 7 })
	seen := j.text.String()
	for _, name := range []string{"/metrics", "/debug/vars"} {
		seen += s.send(get(name))
	}
	hash := s.backend.Auth().ListedUsers()[0].Hash
	for _, what := range []string{secret, "Basic ", "Bearer", hash, "$2a$", "dTp6"} {
		if strings.Contains(seen, what) {
			t.Errorf("%q is told:\n%s", what, seen)
		}
	}
}

func TestRefusedCredentialsAreLoggedNowAndThen(t *testing.T) {
	j := &journal{}
	s := serve(t, httpfront.Options{Log: slog.New(slog.NewJSONHandler(j, nil))})
	s.enable()
	long := strings.Repeat("é", 200)
	s.send(authorized("u\n\x1b[31m\xff:wrong", "GET /v2/keys/x", ""))
	s.send(authorized(long+":wrong", "GET /v2/members", "")) // nobody looks
	for range 12 {
		s.send(authorized("u:wrong", "PUT /v2/members/1", ""))
	}
	s.send(lines("GET /v2/keys/x HTTP/1.1", "Host: h", "Authorization: Bearer x"))
	got := s.scrape()
	s.stop()
	users := map[any]bool{}
	list := j.lines(t)
	for _, line := range list {
		users[line["user"]] = true
		if line["level"] != "WARN" || line["from"] != "127.0.0.1" {
			t.Errorf("%v", line)
		}
	}
	// Each user is seen, and none of them as often as it was refused.
	if !users["u\n\x1b[31m?"] || !users["u"] || len(users) < 2 || len(list) > 10 {
		t.Errorf("%d lines for 14 refusals: %v", len(list), list)
	}
	for result, want := range map[string]float64{"failed": 13, "malformed": 1, "verified": 0, "remembered": 0} {
		if n, ok := got.Value("copse_auth_checks_total", "result", result); n != want || !ok {
			t.Errorf("%s: got %v want %v", result, n, want)
		}
	}
	if n, _ := got.Value("copse_auth_checks_waiting"); n != 0 {
		t.Errorf("%v are waiting", n)
	}
}
