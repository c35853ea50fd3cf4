package httpfront_test

import (
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"copse/httpfront"
	"copse/httpfront/ui"
	"copse/statemachine/tree"
)

func itoa(n int) string { return strconv.Itoa(n) }

func itoa16(n int) string { return strconv.FormatInt(int64(n), 16) }

// answer is an answer's status, the headers that matter and its body.
type answer struct {
	status int
	allow  string
	kind   string
	body   string
}

func parse(t *testing.T, raw string) answer {
	t.Helper()
	head, body, ok := strings.Cut(raw, "\r\n\r\n")
	if !ok {
		t.Fatalf("no answer: %q", raw)
	}
	a := answer{body: body}
	id := false
	for i, line := range strings.Split(head, "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case i == 0:
			a.status, _ = strconv.Atoi(strings.Fields(line)[1])
		case name == "Allow":
			a.allow = value
		case name == "Content-Type":
			a.kind = value
		case name == "X-Etcd-Cluster-Id":
			id = true
		}
	}
	if !id {
		a.body += "(without X-Etcd-Cluster-Id)" // every answer has it
	}
	return a
}

const (
	text  = "text/plain; charset=utf-8"
	jsonT = "application/json"

	member = `{"id":"ddd67b312462fd7b","name":"infra1","peerURLs":["http://127.0.0.1:12380"],` +
		`"clientURLs":["http://127.0.0.1:12379","http://10.0.0.1:12379"]}`
	rootRole = `{"role":"root","permissions":{"kv":{"read":["/*"],"write":["/*"]}}}`

	unauthorized = `{"errorCode":110,"message":"The request requires user authentication","cause":"Insufficient credentials","index":0}` + "\n"
)

func message(m string) string { return `{"message":` + strconv.Quote(m) + `}` }

func TestSmallEndpoints(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.backend.stats = tree.Stats{GetsSuccess: 1, ExpireCount: 15, Watchers: 16}
	notFound := answer{404, "", text, "404 page not found\n"}
	notAllowed := func(allow string) answer { return answer{405, allow, text, "Method Not Allowed\n"} }
	for request, want := range map[string]answer{
		"GET /version":         {200, "", jsonT, `{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}`},
		"HEAD /version":        {405, "GET", text, ""},
		"GET /health":          {200, "", text, `{"health":"true"}`},
		"GET /v2/machines":     {200, "", text, "http://10.0.0.1:12379, http://127.0.0.1:12379"},
		"PUT /v2/machines":     notAllowed("GET,HEAD"),
		"GET /v2/machines/":    notFound,
		"GET /":                notFound,
		"PUT /":                notFound,
		"GET /v2":              notFound,
		"GET /V2/keys":         notFound,
		"GET /v2/leader":       notFound,
		"GET /v2/stats":        notFound,
		"GET /v2/stats/self/":  notFound,
		"GET /v2/auth":         notFound,
		"GET /v2/auth/enable/": notFound,
		"GET /v2/auth/usersx":  notFound,
		"GET /v2/membersx":     notFound,
		"GET /version/":        notFound,
		"GET /metrics":         {200, "", "text/plain; version=0.0.4; charset=utf-8", ""},
		"GET /%76ersion":       {200, "", jsonT, `{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}`},

		"GET /v2/stats/store": {200, "", jsonT, `{"getsSuccess":1,"getsFail":0,"setsSuccess":0,"setsFail":0,` +
			`"deleteSuccess":0,"deleteFail":0,"updateSuccess":0,"updateFail":0,"createSuccess":0,"createFail":0,` +
			`"compareAndSwapSuccess":0,"compareAndSwapFail":0,"compareAndDeleteSuccess":0,"compareAndDeleteFail":0,` +
			`"expireCount":15,"watchers":16}`},
		"GET /v2/stats/self": {200, "", jsonT, `{"name":"infra1","id":"ddd67b312462fd7b","state":"StateLeader",` +
			`"startTime":"2026-11-23T03:00:00Z","leaderInfo":{"leader":"ddd67b312462fd7b","uptime":"1m0s",` +
			`"startTime":"2026-11-23T03:59:00Z"},"recvAppendRequestCnt":0,"sendAppendRequestCnt":0}`},
		"GET /v2/stats/leader":   {200, "", jsonT, `{"leader":"ddd67b312462fd7b","followers":{}}`},
		"HEAD /v2/stats/leader":  {405, "GET", text, ""},
		"DELETE /v2/stats/store": notAllowed("GET"),

		"GET /v2/members":          {200, "", jsonT, `{"members":[` + member + "]}\n"},
		"GET /v2/members/":         {200, "", jsonT, `{"members":[` + member + "]}\n"},
		"GET /v2/members/leader":   {200, "", jsonT, member + "\n"},
		"GET /v2/members/ddd67b31": {404, "", jsonT, message("Not found")},
		"PATCH /v2/members":        notAllowed("GET,POST,DELETE,PUT"),
		"PUT /v2/members":          {405, "", text, "Method Not Allowed\n"},
		"DELETE /v2/members/":      {405, "", text, "Method Not Allowed\n"},
		"DELETE /v2/members/0x1":   {404, "", jsonT, message("No such member: 0x1")},
		"DELETE /v2/members/00AB":  {404, "", jsonT, message("No such member: ab")},
		"DELETE /v2/members/ab/":   {404, "", jsonT, message("No such member: ab/")},
		"POST /v2/members":         {415, "", jsonT, message("Bad Content-Type , accept application/json")},
		"PUT /v2/members/ab":       {415, "", jsonT, message("Bad Content-Type , accept application/json")},
	} {
		if got := parse(t, s.send(lines(request+" HTTP/1.1", "Host: h"))); got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", request, got, want)
		}
	}
}

// A browser gets links, of which each leads somewhere; whoever doesn't ask for HTML gets what etcd says.
func TestTheFrontPage(t *testing.T) {
	s := serve(t, httpfront.Options{Page: ui.New(ui.Options{Log: slog.New(slog.DiscardHandler), Clients: true})})
	browser := func(request string) answer {
		return parse(t, s.send(lines(request+" HTTP/1.1", "Host: h", "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")))
	}
	page := browser("GET /")
	if page.status != 200 || page.kind != "text/html; charset=utf-8" || !strings.Contains(page.body, `<a href="/ui/">`) {
		t.Errorf("%+v", page)
	}
	links := regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page.body, -1)
	for _, link := range links {
		if a := browser("GET " + link[1]); a.status != 200 {
			t.Errorf("%s: %+v", link[1], a)
		}
	}
	if a := browser("HEAD /"); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: %+v", a)
	}
	if a, want := browser("POST /"), (answer{404, "", text, "404 page not found\n"}); a != want {
		t.Errorf("POST: %+v", a)
	}
	without := parse(t, serve(t, httpfront.Options{}).send(lines("GET / HTTP/1.1", "Host: h", "Accept: text/html")))
	if without.status != 200 || strings.Contains(without.body, "PAGE") || len(regexp.MustCompile(`href`).FindAllString(without.body, -1)) != len(links)-1 {
		t.Errorf("%+v", without)
	}
}

func TestCORS(t *testing.T) {
	const methods = "\r\nAccess-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n"
	for name, c := range map[string]struct {
		allowed []string
		origin  string
		want    string // Access-Control-Allow-Origin
	}{
		"off unless asked for": {nil, "http://a.com:80", ""},
		"all":                  {[]string{"*"}, "http://a.com:80", "*"},
		"all, no origin":       {[]string{"*"}, "", "*"},
		"listed":               {[]string{"http://a.com:80", "http://b.com:80"}, "http://b.com:80", "http://b.com:80"},
		"not listed":           {[]string{"http://a.com:80"}, "http://a.com", ""},
		"no origin":            {[]string{"http://a.com:80"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, httpfront.Options{Requests: httpfront.Requests{CORS: c.allowed}})
			for _, request := range []string{"GET /v2/keys/", "GET /v2/keys/none", "OPTIONS /", "GET //", "PATCH /health", "GET /v2/keys/?wait=true&waitIndex=1"} {
				headers := []string{request + " HTTP/1.1", "Host: h"}
				if c.origin != "" {
					headers = append(headers, "Origin: "+c.origin)
				}
				got := s.send(lines(headers...))
				if has := strings.Contains(got, methods); has != (c.want != "") {
					t.Errorf("%s: got %s", request, got)
				}
				if c.want != "" && !strings.Contains(got, "\r\nAccess-Control-Allow-Origin: "+c.want+"\r\nAccess-Control-Allow-Headers: accept, content-type, authorization\r\n") {
					t.Errorf("%s: got %s", request, got)
				}
			}
		})
	}
}

func TestWatchHead(t *testing.T) {
	s := serve(t, httpfront.Options{Requests: httpfront.Requests{CORS: []string{"*"}}})
	const want = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n" +
		"Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: accept, content-type, authorization\r\n" +
		"Content-Type: application/json\r\nX-Etcd-Cluster-Id: 8b4b1c05fdb811e\r\nX-Etcd-Index: 3\r\n" +
		"X-Raft-Index: 5\r\nX-Raft-Term: 2\r\nDate: DATE\r\nTransfer-Encoding: chunked\r\n\r\n"
	c := s.dial()
	if _, err := c.Write([]byte(get("/v2/keys/a?wait=true"))); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 0, 1000)
	for !strings.Contains(string(got), "\r\n\r\n") {
		n, err := c.Read(got[len(got):cap(got)])
		if err != nil {
			t.Fatalf("%v, after %q", err, got)
		}
		got = got[:len(got)+n]
	}
	if got := date.ReplaceAllString(string(got), "\r\nDate: DATE\r\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNoValueOnSuccess(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for _, step := range []struct {
		request string
		status  int
		body    string
	}{
		{form("PUT", "/v2/keys/a?noValueOnSuccess=true", "value=1"), 201, `{"action":"set"}` + "\n"},
		{form("PUT", "/v2/keys/a?noValueOnSuccess=true&prevExist=true", "value=2"), 200, `{"action":"update"}` + "\n"},
		{form("PUT", "/v2/keys/a?noValueOnSuccess=true&prevValue=2", "value=3"), 200, `{"action":"compareAndSwap"}` + "\n"},
		{form("POST", "/v2/keys/q?noValueOnSuccess=true", "value=1"), 201, `{"action":"create"}` + "\n"},
		{form("PUT", "/v2/keys/a?noValueOnSuccess=true&prevExist=false", ""), 412,
			`{"errorCode":105,"message":"Key already exists","cause":"/a","index":7}` + "\n"},
		{lines("DELETE /v2/keys/a?noValueOnSuccess=true HTTP/1.1", "Host: h"), 200,
			`{"action":"delete","node":{"key":"/a","modifiedIndex":8,"createdIndex":4},` +
				`"prevNode":{"key":"/a","value":"3","modifiedIndex":6,"createdIndex":4}}` + "\n"},
	} {
		if got := parse(t, s.send(step.request)); got.status != step.status || got.body != step.body {
			t.Errorf("%.60q: got %d %s want %d %s", step.request, got.status, got.body, step.status, step.body)
		}
	}
}
