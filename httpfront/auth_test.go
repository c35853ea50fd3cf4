package httpfront_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"copse/httpfront"
	"copse/httpfront/login"
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// as sends a request with these credentials, user:password, or without any. A body
// without a type is a form for keys and JSON for all else.
func (s *site) as(credentials, request, body string) answer {
	s.t.Helper()
	return parse(s.t, s.send(authorized(credentials, request, body)))
}

func authorized(credentials, request, body string) string {
	head := []string{request + " HTTP/1.1", "Host: h"}
	if credentials != "" {
		head = append(head, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
	}
	if body != "" {
		head = append(head, "Content-Length: "+itoa(len(body)))
		if strings.Contains(request, "/v2/keys") {
			head = append(head, "Content-Type: application/x-www-form-urlencoded")
		}
	}
	return lines(head...) + body
}

// user is a user with the cheapest hash.
func user(t *testing.T, name, password string, roles ...string) *auth.User {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return &auth.User{Name: name, Hash: string(hash), Roles: roles}
}

func role(name string, read, write []string) *auth.Role {
	return &auth.Role{Name: name, Permissions: auth.Permissions{Read: read, Write: write}}
}

// enable turns auth on, with root:pw, u:p who may read /r and below and write /w and below,
// n:p without roles, g:p who is guest by name, and a guest who may read /g and write /g/*.
func (s *site) enable() {
	s.t.Helper()
	s.backend.setAuth(auth.NewState(true,
		[]*auth.User{
			user(s.t, "admin", "p", "none", "root"), user(s.t, "g", "p", "guest"), user(s.t, "n", "p"),
			user(s.t, "root", "pw", "root"), user(s.t, "u", "p", "none", "r", "w"),
		},
		[]*auth.Role{
			role("guest", []string{"/g"}, []string{"/g/*"}), role("r", []string{"/r", "/r/*", ""}, nil), role("w", nil, []string{"/w", "/w/*"}),
		}))
}

func ok(status int, body string) answer {
	if body != "" {
		body += "\n"
	}
	return answer{status, "", jsonT, body}
}

func refused(status int, text string) answer { return answer{status, "", jsonT, message(text)} }

// The real etcd 3.4.23 gave these answers.
func TestUsersAndRoles(t *testing.T) {
	s := serve(t, httpfront.Options{})
	const guest = `{"role":"guest","permissions":{"kv":{"read":["/*"],"write":["/*"]}}}`
	r := func(read, write string) string {
		return `{"role":"r","permissions":{"kv":{"read":` + read + `,"write":` + write + `}}}`
	}
	for _, c := range []struct {
		request, body string
		want          answer
	}{
		{"GET /v2/auth/enable", "", ok(200, `{"enabled":false}`)},
		{"PUT /v2/auth/enable", "", refused(409, "auth: No root user available, please create one")},
		{"DELETE /v2/auth/enable", "", refused(409, "auth: already disabled")},

		{"GET /v2/auth/users", "", ok(200, `{"users":null}`)},
		{"GET /v2/auth/users/u", "", refused(404, "auth: User u does not exist.")},
		{"GET /v2/auth/users/u?%zz", "", refused(404, "auth: User u does not exist.")},
		{"PUT /v2/auth/users/u", `{"user":"u"}`, refused(400, "auth: Cannot create user u with an empty password")},
		{"PUT /v2/auth/users/u", `{"USER":"u","Password":"p","other":[1]} {`, ok(201, `{"user":"u","roles":null}`)},
		{"PUT /v2/auth/users/u", `{"user":"u"}`, ok(200, `{"user":"u","roles":[]}`)},
		{"PUT /v2/auth/users/u", `{"user":"u"}`, refused(400, "auth: User not updated. Use grant/revoke/password to update the user.")},
		{"GET /v2/auth/users/u/", "", ok(200, `{"user":"u"}`)},
		{"PUT /v2/auth/users/u", `{"user":"u","grant":["r","<&>"],"revoke":[]}`, ok(200, `{"user":"u","roles":["\u003c\u0026\u003e","r"]}`)},
		{"PUT /v2/auth/users/u", `{"user":"u","revoke":["<&>"],"roles":[]}`, ok(200, `{"user":"u","roles":["r"]}`)},
		{"GET /v2/auth/users/u", "", refused(404, "auth: Role r does not exist.")},
		{"PUT /v2/auth/users/_h%20é", `{"user":"_h é","password":"p","roles":["r","r"]}`, ok(200, `{"user":"_h é","roles":["r","r"]}`)},
		{"GET /v2/auth/users/", "", ok(200, `{"users":[{"user":"u"}]}`)},

		{"PUT /v2/auth/roles/r", `{"role":"r","grant":{"kv":{"read":["/a"]}}}`, refused(404, "auth: Role r does not exist.")},
		{"PUT /v2/auth/roles/r", `{"role":"r","permissions":{"kv":{"READ":["/b","/a"]}},"grant":{"kv":{"read":[]}}}`,
			ok(201, r(`["/b","/a"]`, "null")[:len(r(`["/b","/a"]`, "null"))-1]+`,"grant":{"kv":{"read":[],"write":null}}}`)},
		{"PUT /v2/auth/roles/r", `{"role":"r","revoke":{"kv":{"read":["/b"]}}}`, ok(200, r(`["/a"]`, "[]"))},
		{"PUT /v2/auth/roles/r", `{"role":"r","grant":{"kv":{"write":["/b"]}},"permissions":{"kv":{"read":["/b"]}}}`,
			refused(400, "Role JSON contains both permissions and grant/revoke")},
		{"PUT /v2/auth/roles/_h", `{"role":"_h"}`, ok(201, `{"role":"_h","permissions":{"kv":{"read":null,"write":null}}}`)},
		{"GET /v2/auth/roles/r", "", ok(200, r(`["/a"]`, "[]"))},
		{"GET /v2/auth/roles", "", ok(200, `{"roles":[`+r(`["/a"]`, "[]")+","+rootRole+"]}")},
		{"GET /v2/auth/roles/root/", "", ok(200, rootRole)},
		{"GET /v2/auth/roles/x", "", refused(404, "auth: Role x does not exist.")},
		{"DELETE /v2/auth/roles/x", "", refused(404, "auth: Role x doesn't exist.")},
		{"DELETE /v2/auth/roles/_h", "", ok(200, "")},
		{"GET /v2/auth/users/u", "", ok(200, `{"user":"u","roles":[`+r(`["/a"]`, "[]")+"]}")},
		{"GET /v2/auth/users/u?%zz", "", refused(500, "Internal Server Error")},
		{"GET /v2/auth/users?a;b", "", refused(500, "Internal Server Error")},
		{"GET /v2/auth/roles?%zz", "", refused(500, "Internal Server Error")},
		{"GET /v2/auth/roles/r?%zz", "", ok(200, r(`["/a"]`, "[]"))},

		{"PUT /v2/auth/users/root", `{"user":"root","password":"pw"}`, ok(201, `{"user":"root","roles":["root"]}`)},
		{"PUT /v2/auth/enable?a;b", "what", ok(200, "")},
		{"GET /v2/auth/enable", "", ok(200, `{"enabled":true}`)},
		{"PUT /v2/auth/enable", "", refused(409, "auth: already enabled")},
		{"DELETE /v2/auth/users/root", "", refused(403, "auth: Cannot delete root user while auth is enabled.")},
		{"DELETE /v2/auth/users/x", "", refused(404, "auth: User x does not exist")},
		{"DELETE /v2/auth/users/u", "", ok(200, "")},
		{"GET /v2/auth/roles", "", ok(200, `{"roles":[`+guest+","+r(`["/a"]`, "[]")+","+rootRole+"]}")},
		{"DELETE /v2/auth/enable", "", ok(200, "")},
	} {
		if got := s.as("root:pw", c.request, c.body); got != c.want {
			t.Errorf("%s %s\ngot  %+v\nwant %+v", c.request, c.body, got, c.want)
		}
	}
	if got := s.send(authorized("", "DELETE /v2/auth/roles/guest", "")); !strings.Contains(got, "Content-Length: 0") || strings.Contains(got, "Index") {
		t.Errorf("an answer without a body: %s", got)
	}
}

func TestBodiesOfUsersAndRoles(t *testing.T) {
	s := serve(t, httpfront.Options{})
	const invalid = "Invalid JSON in request body."
	for body, want := range map[string][2]string{
		"":               {invalid, invalid},
		"{":              {invalid, invalid},
		`"u"`:            {invalid, invalid},
		"[]":             {invalid, invalid},
		`{"user":1}`:     {invalid, "Role JSON name does not match the name in the URL"},
		`{"roles":"r"}`:  {invalid, "Role JSON name does not match the name in the URL"},
		`{"grant":[1]}`:  {invalid, invalid},
		`{"grant":null}`: {"User JSON name does not match the name in the URL", "Role JSON name does not match the name in the URL"},
		"null":           {"User JSON name does not match the name in the URL", "Role JSON name does not match the name in the URL"},
		`{"user":"n","role":"n","roles":["r"],"permissions":{"kv":{"write":["/"]}}}`: {"auth: Cannot create user n with an empty password", ""},
		`{"user":"v","role":"v","password":"p"}`:                                     {"User JSON name does not match the name in the URL", "Role JSON name does not match the name in the URL"},
	} {
		for i, path := range []string{"users", "roles"} {
			got := s.as("", "PUT /v2/auth/"+path+"/n", body)
			if want[i] == "" && got.status == 201 {
				continue
			}
			if got != refused(400, want[i]) {
				t.Errorf("%s %s: got %+v want %s", path, body, got, want[i])
			}
		}
	}
	both := s.as("", "PUT /v2/auth/users/u", `{"user":"u","roles":["r"],"grant":["r"]}`)
	if both != refused(400, "User JSON contains both roles and grant/revoke") {
		t.Errorf("got %+v", both)
	}
	long := s.as("", "PUT /v2/auth/users/u", `{"user":"u","password":"`+strings.Repeat("x", 73)+`"}`)
	if long.status != 400 || !strings.Contains(long.body, "more than 72 bytes") || len(s.backend.Auth().ListedUsers()) != 0 {
		t.Errorf("a password of 73 bytes: got %+v", long)
	}
}

// A path is looked at before the method, that before the credentials, and these before the
// body.
func TestTheOrderOfChecks(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.enable()
	noAuth := refused(401, "Insufficient credentials")
	notAllowed := func(allow string) answer { return answer{405, allow, text, "Method Not Allowed\n"} }
	for request, want := range map[string]answer{
		"PUT /v2/auth":                         {404, "", text, "404 page not found\n"},
		"PUT /v2/auth/usersx":                  {404, "", text, "404 page not found\n"},
		"PUT /v2/auth/enable/":                 {404, "", text, "404 page not found\n"},
		"PATCH /v2/auth/users/a/b":             refused(400, "Invalid path"),
		"GET /v2/auth/roles/a%2Fb/":            refused(400, "Invalid path"),
		"POST /v2/auth/enable":                 notAllowed("GET,PUT,DELETE"),
		"PUT /v2/auth/users/":                  notAllowed("GET"),
		"DELETE /v2/auth/roles":                notAllowed("GET"),
		"POST /v2/auth/roles/r":                notAllowed("GET,PUT,DELETE"),
		"HEAD /v2/auth/users/u":                {405, "GET,PUT,DELETE", text, ""},
		"GET /v2/copse/auth/init":              notAllowed("POST"),
		"GET /v2/auth/users":                   noAuth,
		"GET /v2/auth/users/u":                 noAuth, // not even itself
		"PUT /v2/auth/users/u":                 noAuth, // without a body
		"DELETE /v2/auth/users/x":              noAuth,
		"GET /v2/auth/roles":                   noAuth,
		"GET /v2/auth/roles/r":                 noAuth,
		"PUT /v2/auth/roles/r":                 noAuth,
		"DELETE /v2/auth/roles/r":              noAuth,
		"PUT /v2/auth/enable":                  noAuth,
		"DELETE /v2/auth/enable":               noAuth,
		"GET /v2/auth/enable":                  ok(200, `{"enabled":true}`),
		"POST /v2/copse/auth/init":             noAuth,
		"GET /v2/copse/shards":                 noAuth,
		"GET /v2/copse/backup":                 noAuth,
		"GET /v2/copse/backup?stale=true":      noAuth,
		"PUT /config/local/log":                noAuth,
		"POST /v2/members":                     noAuth,
		"PUT /v2/members/xyz":                  noAuth,
		"PUT /v2/members":                      noAuth,
		"DELETE /v2/members/1":                 noAuth,
		"PATCH /v2/members":                    notAllowed("GET,POST,DELETE,PUT"),
		"GET /v2/keys/x?recursive=xx":          {400, "", jsonT, `{"errorCode":209,"message":"Invalid field","cause":"invalid value for \"recursive\"","index":0}` + "\n"},
		"PATCH /v2/keys/x":                     notAllowed("HEAD,GET,PUT,POST,DELETE"),
		"GET /v2/keys/x":                       {401, "", jsonT, unauthorized}, // and not 404
		"GET /v2/keys/x?wait=true&waitIndex=1": {401, "", jsonT, unauthorized},
		"OPTIONS /v2/keys/x":                   {200, "", "", ""},
	} {
		for _, credentials := range []string{"", "u:p", "u:wrong", "u"} {
			if got := s.as(credentials, request, ""); got != want {
				t.Errorf("%s by %q\ngot  %+v\nwant %+v", request, credentials, got, want)
			}
		}
	}
	// What is open to all, whoever they say they are.
	for _, request := range []string{"/v2/members", "/v2/members/leader", "/v2/stats/self", "/v2/stats/store", "/v2/stats/leader", "/v2/machines", "/version", "/health", "/metrics", "/debug/vars", "/livez"} {
		if got := s.as("root:wrong", "GET "+request, ""); got.status != 200 {
			t.Errorf("%s: %+v", request, got)
		}
	}
	for _, credentials := range []string{"root:pw", "admin:p"} {
		for request, status := range map[string]int{
			"GET /v2/auth/users": 200, "PUT /v2/auth/users/u": 400, "GET /v2/copse/shards": 200, "PUT /config/local/log": 400,
			"POST /v2/members": 415, "PUT /v2/members/xyz": 404, "PUT /v2/members": 405, "DELETE /v2/members/1": 404,
		} {
			if got := s.as(credentials, request, ""); got.status != status {
				t.Errorf("%s by %s: got %+v want %d", request, credentials, got, status)
			}
		}
	}
}

func TestWhoMayDoWhatToKeys(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.enable()
	for _, key := range []string{"g/a", "r/a", "r/_h", "w/a", "x"} {
		if got := s.as("root:pw", "PUT /v2/keys/"+key, "value=1"); got.status != 201 {
			t.Fatal(got)
		}
	}
	const wrong, nobody, none = "u:wrong", "x:p", "n:p"
	for request, may := range map[string][]string{
		"GET /v2/keys/g":                             {"", "g:p"},
		"HEAD /v2/keys/g":                            {"", "g:p"},
		"GET /v2/keys/g/":                            {},
		"GET /v2/keys/g/a":                           {},
		"GET /v2/keys/g?recursive=true":              {}, // in etcd the guest may
		"PUT /v2/keys/g/b":                           {"", "g:p"},
		"PUT /v2/keys/g%2Fb":                         {"", "g:p"},
		"POST /v2/keys/g":                            {},
		"POST /v2/keys/g/":                           {"", "g:p"},
		"DELETE /v2/keys/g/?recursive=true&dir=true": {"", "g:p"},
		"GET /v2/keys/r":                             {"u:p"},
		"GET /v2/keys/r?quorum=true":                 {"u:p"},
		"GET /v2/keys/r/":                            {"u:p"},
		"HEAD /v2/keys/r/a":                          {"u:p"},
		"GET /v2/keys/r/_h":                          {"u:p"},
		"GET /v2/keys/r?recursive=true":              {},
		"GET /v2/keys/r?showHidden=true":             {},
		"GET /v2/keys/r/?showHidden=true":            {"u:p"},
		"GET /v2/keys/r?depth=2":                     {},
		"GET /v2/keys/r/?recursive=true":             {"u:p"},
		"GET /v2/keys/r/a?recursive=true":            {"u:p"},
		"GET /v2/keys/rx":                            {},
		"PUT /v2/keys/r/a":                           {},
		"GET /v2/keys/w/a":                           {},
		"PUT /v2/keys/w/a?prevValue=7":               {"u:p"},
		"PUT /v2/keys/w/a?recursive=true":            {"u:p"},
		"PUT /v2/keys/w?recursive=true":              {},
		"DELETE /v2/keys/w/b?prevIndex=9":            {"u:p"},
		"POST /v2/keys/w":                            {"u:p"},
		"GET /v2/keys/x":                             {},
		"GET /v2/keys":                               {},
		"GET /v2/keys/":                              {},
		"GET /v2/keys/?recursive=true&sorted=true":   {},
		"HEAD /v2/keys":                              {},
		"POST /v2/keys":                              {},
		"DELETE /v2/keys/_hidden":                    {},
	} {
		for _, credentials := range []string{"", "g:p", "u:p", none, wrong, nobody, "root:pw", "admin:p"} {
			if credentials == nobody && !slices.Contains(may, "") {
				continue // takes long, and the question is whether it gets what the guest may
			}
			may := slices.Contains(may, credentials) || strings.HasPrefix(credentials, "root") || strings.HasPrefix(credentials, "admin")
			got := s.as(credentials, request, "")
			if may == (got.status == 401) {
				t.Errorf("%s by %q: got %+v", request, credentials, got)
			}
			if !may && got != (answer{401, "", jsonT, unauthorized}) && !strings.HasPrefix(request, "HEAD") {
				t.Errorf("%s by %q: got %+v", request, credentials, got)
			}
		}
	}
}

func TestRefusalsOnTheWire(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.enable()
	key := lines("HTTP/1.1 401 Unauthorized", "Date: DATE", "Content-Type: application/json", "Content-Length: "+itoa(len(unauthorized)), idLine, "X-Etcd-Index: 0")
	if got := s.send(authorized("", "GET /v2/keys/x", "")); got != key+unauthorized {
		t.Errorf("a key: got\n%s", got)
	}
	if got := s.send(authorized("", "HEAD /v2/keys/x", "")); got != key {
		t.Errorf("HEAD: got\n%s", got)
	}
	other := lines("HTTP/1.1 401 Unauthorized", "Date: DATE", "Content-Type: application/json", "Content-Length: 38", idLine) + message("Insufficient credentials")
	if got := s.send(authorized("u:p", "GET /v2/auth/users", "")); got != other {
		t.Errorf("another route: got\n%s", got)
	}
}

// Each request of a connection is asked for itself, whatever the one before was.
func TestPipelinedRequestsAreAskedOneByOne(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.enable()
	var all string
	who := []string{"root:pw", "", "root:pw", "u:p", "root:wrong", "root:pw"}
	for _, credentials := range who {
		all += authorized(credentials, "GET /v2/keys/", "") + authorized(credentials, "PUT /v2/keys/x", "value=1")
	}
	c := s.dial()
	if _, err := c.Write([]byte(all)); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	var got []string
	for _, line := range strings.Split(readAll(t, c), "\r\n") {
		if _, status, ok := strings.Cut(line, "HTTP/1.1 "); ok {
			got = append(got, status[:3])
		}
	}
	want := []string{"200", "201", "401", "401", "200", "200", "401", "401", "401", "401", "200", "200"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v want %v", got, want)
	}
}

func TestInitMakesRootAndClosesTheDoor(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for _, c := range []struct {
		body string
		want answer
	}{
		{"", refused(400, "Invalid JSON in request body.")},
		{"{}", refused(400, "auth: Cannot create user root with an empty password")},
		{`{"password":"pw"}`, ok(200, "")},
		{`{"password":"pw"}`, refused(401, "Insufficient credentials")},
	} {
		if got := s.as("", "POST /v2/copse/auth/init", c.body); got != c.want {
			t.Errorf("%s: got %+v want %+v", c.body, got, c.want)
		}
	}
	if got := s.as("root:pw", "POST /v2/copse/auth/init", `{"password":"other"}`); got != refused(409, "auth: already enabled") {
		t.Errorf("again, by root: %+v", got)
	}
	if got := s.as("", "GET /v2/keys/", ""); got.status != 401 {
		t.Errorf("the guest: %+v", got)
	}
}

// elsewhere is a listener that seems to be reached by other machines.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 2379} }

func TestEnablingWarnsOfPasswordsThatCanBeOverheard(t *testing.T) {
	for _, exposed := range []bool{false, true} {
		j := &journal{}
		s := serve(t, httpfront.Options{Log: slog.New(slog.NewJSONHandler(j, nil))})
		if exposed {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s.addr = ln.Addr().String()
			more := make(chan error, 1)
			go func() { more <- s.server.Serve(elsewhere{ln}) }()
			defer func() { _ = s.server.Stop(context.Background()); <-more }()
		}
		want := 0
		for _, c := range []struct {
			request, body string
			status        int
			enables       bool
		}{
			{"PUT /v2/auth/enable", "", 409, false},
			{"POST /v2/copse/auth/init", `{"password":"pw"}`, 200, true},
			{"DELETE /v2/auth/enable", "", 200, false},
			{"PUT /v2/auth/enable", "", 200, true},
			{"PUT /v2/auth/enable", "", 409, false},
		} {
			if got := s.as("root:pw", c.request, c.body); got.status != c.status {
				t.Fatalf("%s: %+v", c.request, got)
			}
			if exposed && c.enables {
				want++
			}
			s.eventually(func() bool { return len(j.lines(t)) >= want })
			if list := j.lines(t); len(list) != want {
				t.Errorf("%s: %v, want %d warnings", c.request, list, want)
			}
		}
		for _, line := range j.lines(t) {
			if line["level"] != "WARN" || !strings.Contains(line["msg"].(string), "unencrypted") || !slices.Equal(line["clients"].([]any), []any{"http://10.0.0.1:2379"}) {
				t.Errorf("%v", line)
			}
		}
	}
}

// When more passwords wait than the server will ever get to, it says so.
func TestTooManyPasswordsIsSaid(t *testing.T) {
	s := serve(t, httpfront.Options{})
	hash, err := bcrypt.GenerateFromPassword([]byte("p"), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	s.backend.setAuth(auth.NewState(true, []*auth.User{{Name: "u", Hash: string(hash)}}, nil))
	const places = 1024
	wrong := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:wrong"))
	// They stand in the line in which u's next one from here would be the last.
	var flood sync.WaitGroup
	for range places + 1 { // one has its turn
		flood.Go(func() {
			from := login.Client{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
			for {
				if _, err := s.server.Logins().Identify(&from, []byte(wrong), ""); errors.Is(err, login.ErrStopped) {
					return
				}
			}
		})
	}
	defer flood.Wait()
	defer s.server.Stop(context.Background())
	s.eventually(func() bool {
		n, _ := s.scrape().Value("copse_auth_checks_waiting")
		return n == places
	})
	const why = "too many passwords are waiting to be checked"
	want := answer{500, "", jsonT, `{"errorCode":300,"message":"Raft Internal Error","cause":"` + why + `","index":0}` + "\n"}
	if got := s.as("u:guess", "GET /v2/keys/k", ""); got != want {
		t.Errorf("got %+v want %+v", got, want)
	}
	for _, request := range []string{"GET /v2/auth/users", "PUT /v2/auth/enable", "DELETE /v2/members/1"} {
		if got := s.as("u:guess", request, ""); got != refused(500, why) {
			t.Errorf("%s: %+v", request, got)
		}
	}
}

func TestTroubleWithRaftIsSaid(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.err = &tree.Error{Code: tree.CodeRaftInternal, Cause: "etcdserver: request timed out"}
	for request, body := range map[string]string{
		"PUT /v2/auth/enable": "", "DELETE /v2/auth/users/u": "", "PUT /v2/auth/users/u": `{"user":"u"}`, "PUT /v2/auth/roles/r": `{"role":"r"}`,
	} {
		if got := s.as("", request, body); got != refused(http.StatusInternalServerError, "etcdserver: request timed out") {
			t.Errorf("%s: %+v", request, got)
		}
	}
}

// What a reader may no longer read may have been written while its quorum was asked.
func TestAReadIsCheckedAgainAfterwards(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.parts = []string{"{", "}"}
	for _, c := range []struct {
		credentials, request string
		status               int
	}{
		{"u:p", "GET /v2/keys/r/a?quorum=true", 401},
		{"u:p", "GET /v2/keys/r/missing", 401},
		{"", "GET /v2/keys/parts", 401},
		{"root:pw", "GET /v2/keys/parts", 200},
		{"", "GET /v2/copse/backup", 401},
		{"u:p", "GET /v2/copse/backup", 401},
		{"root:pw", "GET /v2/copse/backup", 200},
	} {
		s.backend.setAuth(&auth.State{})
		if c.credentials == "u:p" {
			s.enable()
		}
		s.backend.reading = func() {
			s.backend.setAuth(auth.NewState(true, []*auth.User{user(t, "root", "pw", "root"), user(t, "u", "p")}, nil))
		}
		if got := s.as(c.credentials, c.request, ""); got.status != c.status {
			t.Errorf("%s by %q, changed meanwhile: got %+v", c.request, c.credentials, got)
		}
	}
	s.wantClosedListings(4) // whoever is refused beforehand begins none
}

func TestARightIsAskedForAgainAfterHashing(t *testing.T) {
	for request, body := range map[string]string{
		"PUT /v2/auth/users/evil":  `{"user":"evil","password":"p","roles":["root"]}`,
		"POST /v2/copse/auth/init": `{"password":"p"}`,
	} {
		s := serve(t, httpfront.Options{})
		on := auth.NewState(true, []*auth.User{user(t, "root", "pw", "root")}, nil)
		s.backend.asked = func() { s.backend.auth.Store(on) }
		if got := s.as("", request, body); got != refused(401, "Insufficient credentials") {
			t.Errorf("%s, auth is enabled meanwhile: got %+v", request, got)
		}
		if s.backend.auth.Load() != on {
			t.Errorf("%s has changed something", request)
		}
	}
}
