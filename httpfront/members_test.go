package httpfront_test

import (
	"strings"
	"testing"
	"time"

	"copse/httpfront"
	"copse/statemachine/tree"
)

// call sends a request to the members' API, with a body of the type that it
// wants unless there is none.
func (s *site) call(method, path, body string) answer {
	s.t.Helper()
	head := []string{method + " " + path + " HTTP/1.1", "Host: h"}
	if body != "" {
		head = append(head, "Content-Type: application/json", "Content-Length: "+itoa(len(body)))
	}
	return parse(s.t, s.send(lines(head...)+body))
}

func peers(urls ...string) string { return `{"peerURLs":["` + strings.Join(urls, `","`) + `"]}` }

// The real etcd 3.4.23 gave these answers, in two members; their ids are ours.
func TestMembersComeAndGo(t *testing.T) {
	s := serve(t, httpfront.Options{})
	const (
		own      = "ddd67b312462fd7b"
		internal = "Internal Server Error"
	)
	refused := func(status int, text string) answer { return answer{status, "", jsonT, message(text)} }
	done := answer{204, "", "", ""}
	list := func(members ...string) answer {
		return answer{200, "", jsonT, `{"members":[` + strings.Join(members, ",") + "]}\n"}
	}
	ours := func(peers string) string {
		return `{"id":"` + own + `","name":"infra1","peerURLs":[` + peers + `],"clientURLs":["http://127.0.0.1:12379","http://10.0.0.1:12379"]}`
	}
	added := `{"id":"added","name":"","peerURLs":["http://a:1","http://b:1"],"clientURLs":[]}`
	for _, c := range []struct {
		name               string
		method, path, body string
		want               answer
	}{
		{"own URLs", "PUT", own, peers("http://127.0.0.1:12380"), done},
		{"further URLs", "PUT", own, peers("http://own:2", "http://own:1"), done},
		{"they are sorted", "GET", "", "", list(ours(`"http://own:1","http://own:2"`))},
		{"an id in capitals and with zeros", "PUT", "00" + strings.ToUpper(own), peers("http://own:1"), done},
		{"of nobody", "PUT", "ab", peers("http://c:1"), refused(404, "No such member: ab")},
		{"of nobody, taken", "PUT", "ab", peers("http://own:1"), refused(404, "No such member: ab")},
		{"the last one", "DELETE", own, "", refused(500, "etcdserver: re-configuration failed due to not enough started members")},
		{"remove nobody", "DELETE", "00AB", "", refused(404, "No such member: ab")},

		{"taken", "POST", "", peers("http://own:1"), refused(409, "membership: peerURL exists")},
		{"one of them taken", "POST", "", peers("http://c:1", "http://own:1"), refused(409, "membership: peerURL exists")},
		{"add", "POST", "/whatever", peers("http://b:1", "http://a:1"), answer{201, "", jsonT, added + "\n"}},
		{"the id again", "POST", "", peers("http://c:1"), refused(409, "membership: ID exists")},
		{"listed by id", "GET", "/", "", list(added, ours(`"http://own:1"`))},
		{"taken by the new one", "PUT", own, peers("http://b:1"), refused(409, "membership: peerURL exists")},
		{"remove", "DELETE", "added", "", done},
		{"remove again", "DELETE", "ADDED", "", refused(410, "Member permanently removed: added")},
		{"update a removed one", "PUT", "added", peers("http://a:1"), refused(500, internal)},
		{"update a removed one, taken", "PUT", "added", peers("http://own:1"), refused(500, internal)},
		{"add with a removed id", "POST", "", peers("http://c:1"), refused(500, internal)},
		{"what is left", "GET", "", "", list(ours(`"http://own:1"`))},
	} {
		path := c.path
		if path != "" && path[0] != '/' {
			path = "/" + path
		}
		if got := s.call(c.method, "/v2/members"+path, c.body); got != c.want {
			t.Errorf("%s: %s %s\ngot  %+v\nwant %+v", c.name, c.method, path, got, c.want)
		}
	}
}

func TestChangesThatRaftCantMake(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for code, text := range map[tree.Code]string{
		tree.CodeRaftInternal: "Internal Server Error",
		tree.CodeQuorumLoss:   "etcdserver: re-configuration failed due to not enough started members",
	} {
		s.backend.err = &tree.Error{Code: code, Cause: "etcdserver: request timed out"}
		for request, body := range map[string]string{
			"POST /v2/members":                    peers("http://a:1"),
			"PUT /v2/members/ddd67b312462fd7b":    peers("http://a:1"),
			"DELETE /v2/members/ddd67b312462fd7b": "",
		} {
			method, path, _ := strings.Cut(request, " ")
			want := answer{500, "", jsonT, message(text)}
			if got := s.call(method, path, body); got != want {
				t.Errorf("%s, code %d:\ngot  %+v\nwant %+v", request, code, got, want)
			}
		}
	}
}

func TestChangesOfMembersAreCheckedFirst(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for name, c := range map[string]struct {
		kind, body string
		status     int
		message    string
	}{
		"no type":          {"", "{}", 415, "Bad Content-Type , accept application/json"},
		"wrong type":       {"text/x", "{}", 415, "Bad Content-Type text/x, accept application/json"},
		"curl's type":      {"application/x-www-form-urlencoded", "{}", 415, "Bad Content-Type application/x-www-form-urlencoded, accept application/json"},
		"type in capitals": {"Application/JSON", "{}", 415, "Bad Content-Type Application/JSON, accept application/json"},
		"with a charset":   {"Application/JSON; charset=utf-8", "{}", 400, "no valid URLs given"},
		"empty":            {jsonT, "", 400, "unexpected end of JSON input"},
		"of another shape": {jsonT, `{"peerURLs":"x"}`, 400, "json: cannot unmarshal string into Go struct field .peerURLs of type []string"},
		"no URLs":          {jsonT, `{"peerURLs":[]}`, 400, "no valid URLs given"},
		"wrong scheme":     {jsonT, `{"PEERurls":["ftp://h:1"]}`, 400, "URL scheme must be http, https, unix, or unixs: ftp://h:1"},
		"no port":          {jsonT, peers("http://h"), 400, `URL address does not have the form "host:port": http://h`},
		"a path":           {jsonT, peers("http://h:1/"), 400, "URL must not contain a path: http://h:1/"},
		"no URL":           {jsonT, peers("::"), 400, `parse "::": missing protocol scheme`},
		"a bad one behind": {jsonT, peers("http://127.0.0.1:12380", "x"), 400, "URL scheme must be http, https, unix, or unixs: x"},
	} {
		t.Run(name, func(t *testing.T) {
			want := answer{c.status, "", jsonT, message(c.message)}
			for _, target := range []string{"POST /v2/members", "PUT /v2/members/ddd67b312462fd7b", "PUT /v2/members/ab"} {
				head := []string{target + " HTTP/1.1", "Host: h", "Content-Length: " + itoa(len(c.body))}
				if c.kind != "" {
					head = append(head, "Content-Type: "+c.kind)
				}
				if got := parse(t, s.send(lines(head...)+c.body)); got != want {
					t.Errorf("%s:\ngot  %+v\nwant %+v", target, got, want)
				}
			}
		})
	}
	// What can't be an id is refused before type and body are looked at.
	for _, id := range []string{"0xab", "xyz", "ab/", "leader", "11112222333344445"} {
		want := answer{404, "", jsonT, message("No such member: " + id)}
		for _, method := range []string{"PUT", "DELETE"} {
			if got := s.call(method, "/v2/members/"+id, ""); got != want {
				t.Errorf("%s %s:\ngot  %+v\nwant %+v", method, id, got, want)
			}
		}
	}
	if n := len(s.backend.Cluster().Members); n != 1 {
		t.Errorf("there are %d members", n)
	}
	// A query in a URL is no path.
	if got := s.call("POST", "/v2/members", peers("http://h:1?q")); got.status != 201 || !strings.Contains(got.body, `"peerURLs":["http://h:1?q"]`) {
		t.Errorf("a URL with a query: %+v", got)
	}
}

// three makes s's member the leader of three; the third hasn't started.
func (s *site) three() {
	own := s.backend.cluster.Members[0]
	s.backend.cluster.Members = []tree.Member{
		{ID: 0x9, Name: "infra9", PeerURLs: []string{"http://nine:1"}, ClientURLs: []string{"http://nine:2"}},
		{ID: 0x77, PeerURLs: []string{"http://new:1"}},
		own,
	}
}

func TestOnlyStartedMembersAreMachines(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.three()
	want := answer{200, "", text, "http://10.0.0.1:12379, http://127.0.0.1:12379, http://nine:2"}
	if got := s.call("GET", "/v2/machines", ""); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s.backend.cluster.Members = nil
	if got := s.call("GET", "/v2/machines", ""); got != (answer{200, "", text, ""}) {
		t.Errorf("without any: %+v", got)
	}
	if got := s.call("GET", "/v2/members", ""); got != (answer{200, "", jsonT, `{"members":[]}` + "\n"}) {
		t.Errorf("without any: %+v", got)
	}
}

func TestStatisticsOfALeader(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.three()
	s.backend.peers = tree.PeerStats{
		SendAppends: 15, SendPackageRate: 153.98749067220774, SendBandwidthRate: 11536.22950952623,
		Followers: []tree.FollowerStats{
			{ID: 9, Current: 0.000661, Average: 0.0021838000000000005, StandardDeviation: 0.0019634357370011714, Minimum: 0.000461, Maximum: 0.007571, Success: 15, Fail: 2},
			{ID: 0x55, Success: 3}, // removed meanwhile
		},
	}
	never := `{"latency":{"current":0,"average":0,"standardDeviation":0,"minimum":9223372036854776000,"maximum":0},"counts":{"fail":0,"success":0}}`
	want := `{"leader":"ddd67b312462fd7b","followers":{"77":` + never +
		`,"9":{"latency":{"current":0.000661,"average":0.0021838000000000005,"standardDeviation":0.0019634357370011714,` +
		`"minimum":0.000461,"maximum":0.007571},"counts":{"fail":2,"success":15}}}}`
	if got := s.call("GET", "/v2/stats/leader", ""); got != (answer{200, "", jsonT, want}) {
		t.Errorf("leader:\ngot  %+v\nwant %s", got, want)
	}
	want = `{"name":"infra1","id":"ddd67b312462fd7b","state":"StateLeader",` +
		`"startTime":"2026-11-23T03:00:00Z","leaderInfo":{"leader":"ddd67b312462fd7b","uptime":"1m0s",` +
		`"startTime":"2026-11-23T03:59:00Z"},"recvAppendRequestCnt":0,"sendAppendRequestCnt":15,` +
		`"sendPkgRate":153.98749067220774,"sendBandwidthRate":11536.22950952623}`
	if got := s.call("GET", "/v2/stats/self", ""); got != (answer{200, "", jsonT, want}) {
		t.Errorf("self:\ngot  %+v\nwant %s", got, want)
	}
	// A follower of which nothing has come back yet.
	s.backend.peers.Followers = []tree.FollowerStats{{ID: 9, Fail: 4}}
	want = `{"leader":"ddd67b312462fd7b","followers":{"77":` + never + `,"9":` + strings.Replace(never, `"fail":0`, `"fail":4`, 1) + `}}`
	if got := s.call("GET", "/v2/stats/leader", ""); got != (answer{200, "", jsonT, want}) {
		t.Errorf("leader:\ngot  %+v\nwant %s", got, want)
	}
}

func TestStatisticsOfAFollower(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.three()
	c := &s.backend.cluster
	c.Leader, c.LastLeader = 9, 9
	s.backend.peers = tree.PeerStats{RecvAppends: 15, RecvPackageRate: 1.8522394018473602, RecvBandwidthRate: 230.91251209697091}
	forbidden := answer{403, "", jsonT, message("not current leader")}
	if got := s.call("GET", "/v2/stats/leader", ""); got != forbidden {
		t.Errorf("leader: got %+v", got)
	}
	self := func(state, leader, uptime, since string) answer {
		return answer{200, "", jsonT, `{"name":"infra1","id":"ddd67b312462fd7b","state":"` + state + `",` +
			`"startTime":"2026-11-23T03:00:00Z","leaderInfo":{"leader":"` + leader + `","uptime":"` + uptime + `",` +
			`"startTime":"` + since + `"},"recvAppendRequestCnt":15,"recvPkgRate":1.8522394018473602,` +
			`"recvBandwidthRate":230.91251209697091,"sendAppendRequestCnt":0}`}
	}
	if got, want := s.call("GET", "/v2/stats/self", ""), self("StateFollower", "9", "1m0s", "2026-11-23T03:59:00Z"); got != want {
		t.Errorf("self:\ngot  %+v\nwant %+v", got, want)
	}
	if got := s.call("GET", "/v2/members/leader", ""); got.status != 200 || !strings.HasPrefix(got.body, `{"id":"9","name":"infra9",`) {
		t.Errorf("members/leader: got %+v", got)
	}

	// The leader is gone: it is the last one known.
	c.Leader = 0
	s.backend.down = true
	for request, want := range map[string]answer{
		"/health":            {503, "", text, `{"health":"false"}` + "\n"},
		"/v2/members/leader": {503, "", jsonT, message("During election")},
		"/v2/stats/leader":   forbidden,
		"/v2/stats/self":     self("StateFollower", "9", "1m0s", "2026-11-23T03:59:00Z"),
	} {
		if got := s.call("GET", request, ""); got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", request, got, want)
		}
	}
	// So it is on the one that has lost it itself.
	c.LastLeader = c.Self
	if got, want := s.call("GET", "/v2/stats/self", ""), self("StateLeader", "ddd67b312462fd7b", "1m0s", "2026-11-23T03:59:00Z"); got != want {
		t.Errorf("self:\ngot  %+v\nwant %+v", got, want)
	}
	if got := s.call("GET", "/v2/stats/leader", ""); got != forbidden {
		t.Errorf("leader: got %+v", got)
	}
	// There was none yet: the time counts from the start.
	c.LastLeader, c.LeaderSince = 0, time.Time{}
	if got, want := s.call("GET", "/v2/stats/self", ""), self("StateFollower", "", "1h0m0s", "2026-11-23T03:00:00Z"); got != want {
		t.Errorf("self:\ngot  %+v\nwant %+v", got, want)
	}
}
