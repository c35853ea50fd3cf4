package httpfront

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"copse/config/certs/tlstest"
	"copse/statemachine/auth"
)

// changeAuth makes what the hub knows of users and roles, as a change of them does.
func (h *fakeHub) changeAuth(enabled bool, roles ...*auth.Role) {
	h.auth.Store(auth.NewState(enabled, nil, roles))
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func guestReads(patterns ...string) *auth.Role {
	return &auth.Role{Name: auth.Guest, Permissions: auth.Permissions{Read: patterns}}
}

// revoked is the metric of watches that were ended.
func (lt *loopTest) revoked() uint64 { return lt.loop.options.meter.revoked.Load() }

func TestAWatchEndsWithItsPermission(t *testing.T) {
	for name, c := range map[string]struct {
		watch  string
		before []*auth.Role // nil: auth is off
		after  []*auth.Role
		ends   bool
	}{
		"poll":                             {"/a?wait=true", []*auth.Role{guestReads("/a")}, []*auth.Role{guestReads("/b")}, true},
		"stream":                           {"/a?wait=true&stream=true", []*auth.Role{guestReads("/a")}, []*auth.Role{guestReads()}, true},
		"recursive":                        {"/?wait=true&recursive=true&stream=true", []*auth.Role{guestReads("/*")}, []*auth.Role{guestReads("/", "/a/*")}, true},
		"the role is gone":                 {"/a?wait=true", []*auth.Role{guestReads("/a")}, []*auth.Role{}, true},
		"by another pattern":               {"/a?wait=true", []*auth.Role{guestReads("/a")}, []*auth.Role{guestReads("/a*")}, false},
		"as it was sent":                   {"/a/?wait=true", []*auth.Role{guestReads("/a/")}, []*auth.Role{guestReads("/a")}, true},
		"auth is turned on":                {"/a?wait=true", nil, []*auth.Role{}, true},
		"auth is turned on, and guest may": {"/a?wait=true&stream=true", nil, []*auth.Role{guestReads("/a")}, false},
		"auth is turned off":               {"/a?wait=true", []*auth.Role{guestReads("/a")}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			lt := serveLoop(t, pollLoopOptions{})
			lt.hub.changeAuth(c.before != nil, c.before...)
			w := lt.dial()
			w.get(c.watch)
			r := w.head()
			if r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			next(t, lt.hub.watched)
			lt.hub.changeAuth(c.after != nil, c.after...)
			if !c.ends {
				want := lt.hub.set("/a", 0)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != want {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			w.wantBody(r, "") // the last chunk is there
			w.wantClosed()
			next(t, lt.hub.returned)
			if lt.revoked() != 1 {
				t.Errorf("%d watches are counted", lt.revoked())
			}
		})
	}
}

func TestAWatchIsItsUsers(t *testing.T) {
	may := func(name, password string, roles ...string) *auth.State {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return auth.NewState(true,
			[]*auth.User{{Name: name, Hash: string(hash), Roles: roles}},
			[]*auth.Role{{Name: "r", Permissions: auth.Permissions{Read: []string{"/a"}}}})
	}
	for name, c := range map[string]struct {
		after *auth.State
		ends  bool
	}{
		"another password": {may("u", "other", "r"), false},
		"without the role": {may("u", "p", "x"), true},
		"another user":     {may("v", "p", "r"), true},
	} {
		t.Run(name, func(t *testing.T) {
			lt := serveLoop(t, pollLoopOptions{})
			lt.hub.auth.Store(may("u", "p", "r"))
			w := lt.dial()
			w.send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n\r\n")
			r := w.head()
			next(t, lt.hub.watched)
			lt.hub.auth.Store(c.after)
			lt.hub.changed <- struct{}{}
			if c.ends {
				w.wantBody(r, "")
				w.wantClosed()
			} else {
				w.wantBody(r, lt.hub.set("/a", 0))
			}
		})
	}
}

// The change comes without a bell: an event must not be faster than the review.
func TestNoEventAfterThePermissionIsGone(t *testing.T) {
	for _, watch := range []string{"/a?wait=true", "/a?wait=true&stream=true"} {
		lt := serveLoop(t, pollLoopOptions{})
		lt.hub.changeAuth(true, guestReads("/a"))
		c := lt.dial()
		c.get(watch)
		r := c.head()
		next(t, lt.hub.watched)
		lt.hub.auth.Store(&auth.State{Enabled: true})
		lt.hub.set("/a", 0)
		c.wantBody(r, "")
		c.wantClosed()
		if lt.revoked() != 1 {
			t.Errorf("%s: %d watches are counted", watch, lt.revoked())
		}
	}
}

// A watch that is on its way to the poll loop while users and roles change is looked at when
// it arrives: the review has not seen it.
func TestAWatchIsCheckedWhenItArrives(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	lt.hub.auth.Store(auth.NewState(true, nil, []*auth.Role{guestReads("/a")})) // and no bell
	c := lt.dial()
	lt.hub.closeSoon = true
	c.get("/a?wait=true")
	next(t, lt.hub.watched)
	c.wantBody(c.head(), "")
	c.wantClosed()
	if lt.revoked() != 1 {
		t.Errorf("%d watches are counted", lt.revoked())
	}
}

func TestAWatchThatMayNotBeginIsAnOrdinaryAnswer(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	lt.hub.changeAuth(true, guestReads("/b"))
	c := lt.dial()
	for range 2 { // the connection stays usable
		c.get("/a?wait=true")
		if r := c.head(); r.StatusCode != 401 {
			t.Fatal(r.Status)
		} else if _, err := io.ReadAll(r.Body); err != nil {
			t.Fatal(err)
		}
	}
	if lt.hub.count() != 0 {
		t.Error("it has begun")
	}
	c.get("/b?wait=true")
	next(t, lt.hub.watched)
	c.wantBody(c.head(), lt.hub.set("/b", 0))
}

// routesOpenToAll are those that anybody may use while auth is on, as in etcd; of the
// others the table says which methods need the role root.
var routesOpenToAll = []string{
	"/v2/machines", "/v2/stats/self", "/v2/stats/store", "/v2/stats/leader", "/version", "/health", "/livez", "/readyz", "/metrics", "/debug/vars",
	"/v2/copse/access", "/ui", // who one is oneself, and files that everybody has
	"/", "/v2/copse/openapi.yaml",
	"/v2/copse/txn",     // permit asks for each key
	"/v2/copse/history", // shows the names below which the client may read
}

func TestEveryRouteSaysWhoMayUseIt(t *testing.T) {
	readable := map[string]bool{"/v2/members": true, "/v2/auth/enable": true}
	for _, r := range routes {
		want := r.methods.set
		switch {
		case slices.Contains(routesOpenToAll, r.path):
			want = 0
		case readable[r.path]:
			want &^= methodGet
		}
		if r.root != want {
			t.Errorf("%s: the role root is needed for %b, not %b", r.path, r.root, want)
		}
	}
}

// With its own name in a certificate a client is that user: not with that of the authority,
// nor beside an Authorization header, nor where names don't count.
func TestTheCertificateNamesTheUser(t *testing.T) {
	ca := tlstest.Named(t, "boss")
	config := ca.Server("server")
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, ca.Client("").RootCAs
	users := []*auth.User{{Name: "boss", Roles: []string{auth.Root}}, {Name: "u", Roles: []string{"r"}}}
	roles := []*auth.Role{guestReads("/g"), {Name: "r", Permissions: auth.Permissions{Read: []string{"/r"}}}}
	for name, c := range map[string]struct {
		names          bool
		client, header string
		sees           string // of /g, /r and /x
	}{
		"a user":                   {true, "u", "", "/r"},
		"an empty header":          {true, "u", "Authorization: \r\n", "/r"},
		"root":                     {true, "boss", "", "/g /r /x"},
		"no user":                  {true, "somebody", "", "/g"},
		"a wrong header":           {true, "u", "Authorization: Basic dTp4\r\n", ""},
		"names that don't count":   {false, "boss", "", "/g"},
		"a name that is not whole": {true, "bos", "", "/g"},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newFakeHub()
			hub.auth.Store(auth.NewState(true, users, roles))
			s := NewTestServer(hub, Options{CertificateNames: c.names})
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- s.ServeTLS(ln, config) }()
			var sees []string
			for _, key := range []string{"/g", "/r", "/x"} {
				conn, err := tls.Dial("tcp", ln.Addr().String(), ca.Client(c.client))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(conn, "GET /v2/keys%s HTTP/1.1\r\nHost: h\r\n%sConnection: close\r\n\r\n", key, c.header)
				if answer, _ := io.ReadAll(conn); strings.HasSuffix(string(answer), "plain "+key) {
					sees = append(sees, key)
				}
				_ = conn.Close()
			}
			_ = s.Stop(t.Context())
			<-done
			if got := strings.Join(sees, " "); got != c.sees {
				t.Errorf("sees %q want %q", got, c.sees)
			}
		})
	}
}

// A watch of several keys takes the permission for each, and ends with the first that goes.
func TestAWatchOfSeveralKeysTakesThePermissionForEach(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	lt.hub.changeAuth(true, guestReads("/a", "/b", "/d/*"))
	for query, status := range map[string]int{
		"prefix=/a&prefix=/b": 200, "prefix=/b": 200, "prefix=/a&prefix=/c": 401, "prefix=/c&prefix=/a": 401, "prefix=/a&prefix=/b&recursive=true": 401, "prefix=/a/": 401, "prefix=/a&prefix=/a/": 401, "prefix=/d/&recursive=true": 200, "prefix=/a&prefix=/b&prefix=/d/": 200, "": 401,
	} {
		c := lt.dial()
		c.ask("/?wait=true&"+query, acceptSSE)
		if r := c.head(); r.StatusCode != status {
			t.Errorf("%s: %d", query, r.StatusCode)
		}
	}
	c := lt.dial()
	c.ask("/?wait=true&prefix=/a&prefix=/b", acceptSSE)
	r := c.head()
	lt.hub.changeAuth(true, guestReads("/a"))
	c.wantBody(r, "id: 3\n: heartbeat\n\n")
	c.wantClosed()
}
