package etcdimport

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine/etcddir"
	"copse/statemachine/tree"
)

var (
	rounds = flag.Int("rounds", 2, "how many directories to write")
	seed   = flag.Uint64("seed", 1, "of the requests")
)

// lives is how often an etcd is started, and killed, on each directory.
const lives = 3

func TestRandomDirectories(t *testing.T) {
	binary, err := exec.LookPath("etcd")
	if err != nil {
		t.Fatal("this needs etcd 3.4: apt install etcd-server")
	}
	for i := range *rounds {
		s := *seed + uint64(i)
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			w := writer{t: t, binary: binary, dir: t.TempDir(), random: rand.New(rand.NewPCG(s, 0))}
			for range lives {
				w.live()
			}
			ours := byCopse(t, w.dir)
			compare(t, "etcd's packages", byEtcd(t, w.dir), ours)
			w.start()
			defer w.kill()
			listed := w.listed(ours)
			compare(t, "etcd itself", listed, ours)
			w.compareHTTP(ours)
		})
	}
}

func compare(t *testing.T, by string, want, got state) {
	t.Helper()
	if want.index != 0 && want.index != got.index {
		t.Errorf("%s: index %d, want %d", by, got.index, want.index)
	}
	for _, key := range slices.Sorted(maps.Keys(want.nodes)) {
		if got.nodes[key] != want.nodes[key] {
			t.Errorf("%s: %q is %s, want %s", by, key, got.nodes[key], want.nodes[key])
		}
	}
	for key := range got.nodes {
		if _, ok := want.nodes[key]; !ok {
			t.Errorf("%s: %q should not be there", by, key)
		}
	}
	if len(want.nodes) < 10 {
		t.Errorf("%s: only %d nodes", by, len(want.nodes))
	}
}

func byCopse(t *testing.T, dir string) state {
	t.Helper()
	r, err := etcddir.Read([]etcddir.Source{{Name: dir, Dir: os.DirFS(dir)}}, etcddir.Options{})
	check(t, err)
	t.Logf("index %d, %+v, %+v", r.Index, r.Counts, r.Losses)
	s := state{uint64(r.Index), map[string]string{}}
	for n := range r.Nodes() {
		s.nodes[n.Key] = describeNode(&n)
	}
	return s
}

func describeNode(n *tree.Node) string {
	var expires time.Time
	if n.Expires != 0 {
		expires = time.Unix(0, n.Expires)
	}
	return describe(n.Dir, n.Value, expires, uint64(n.Modified), uint64(n.Created))
}

// writer sends random requests to an etcd.
type writer struct {
	t      *testing.T
	binary string
	dir    string
	random *rand.Rand
	cmd    *exec.Cmd
	url    string
}

// live starts the etcd, sends requests, and kills it in the middle of them.
func (w *writer) live() {
	w.start()
	for range 60 {
		w.send()
	}
	// Two writers, one of which is cut off.
	path, form := w.request()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			if r, err := http.PostForm(w.url+"/v2/keys/busy", url.Values{"value": {"x"}}); err == nil {
				_ = r.Body.Close()
			}
		}
	}()
	w.do(path, form)
	for range 3 { // while etcd writes
		byCopse(w.t, w.dir)
	}
	w.kill()
	<-done
}

func (w *writer) start() {
	w.t.Helper()
	client, peer := free(w.t), free(w.t)
	w.url = "http://" + client
	w.cmd = exec.Command(w.binary, "--name", "m", "--data-dir", w.dir, "--enable-v2", "--snapshot-count", "40", "--logger", "zap", "--log-level", "error",
		"--heartbeat-interval", "10", "--election-timeout", "100", "--listen-client-urls", w.url, "--advertise-client-urls", w.url,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "m=http://"+peer)
	check(w.t, w.cmd.Start())
	for began := time.Now(); ; {
		r, err := http.Get(w.url + "/v2/keys/?quorum=true")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Since(began) > time.Minute {
			w.kill()
			w.t.Fatal("etcd doesn't serve")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *writer) kill() {
	_ = w.cmd.Process.Kill() // it may have ended
	_ = w.cmd.Wait()
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

var names = []string{"a", "b", "c", "_h", "d e", "ü", "queue"}

// request makes a random request: its method and path, and its form.
func (w *writer) request() (path string, form url.Values) {
	pick := w.random.IntN
	for range 1 + pick(3) {
		path += "/" + url.PathEscape(names[pick(len(names))])
	}
	form = url.Values{"value": {strings.Repeat("v", pick(40)) + fmt.Sprint(pick(1000))}}
	switch pick(5) {
	case 0:
		form.Set("ttl", fmt.Sprint([]int{1, 100_000}[pick(2)]))
	case 1:
		form = url.Values{"dir": {"true"}}
	}
	switch pick(8) {
	case 0:
		return "POST " + path, form
	case 1:
		return "DELETE " + path + "?recursive=true", nil
	case 2:
		return "PUT " + path + "?prevExist=false", form
	case 3:
		if form.Has("dir") {
			return "PUT " + path, form // later versions of etcd refuse to update directories
		}
		return "PUT " + path + "?prevExist=true", url.Values{"value": {"updated"}}
	case 4:
		if pick(2) == 0 {
			return "PUT /lease", url.Values{"value": {"held"}, "ttl": {"40000"}}
		}
		return "PUT /lease?prevExist=true", url.Values{"ttl": {"50000"}, "refresh": {"true"}}
	default:
		return "PUT " + path, form
	}
}

func (w *writer) send() { w.do(w.request()) }

func (w *writer) do(request string, form url.Values) {
	w.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequest(method, w.url+"/v2/keys"+path, strings.NewReader(form.Encode()))
	check(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	check(w.t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}

// listed asks for all nodes that ours has; hidden ones are asked for by name. What expires
// meanwhile is left out on both sides.
func (w *writer) listed(ours state) state {
	w.t.Helper()
	soon := time.Now().Add(time.Hour).UnixNano()
	s := state{nodes: map[string]string{}}
	for key, what := range ours.nodes {
		var expires int64
		_, after, _ := strings.Cut(what, " expires ")
		_, err := fmt.Sscan(after, &expires)
		check(w.t, err)
		if expires != 0 && expires < soon {
			delete(ours.nodes, key)
		}
	}
	w.list("/", &s, soon)
	for key := range ours.nodes {
		if tree.HiddenBelow("/", key) {
			w.list(key, &s, soon)
		}
	}
	return s
}

type node struct {
	Key                         string
	Value                       string
	Dir                         bool
	Expiration                  time.Time
	ModifiedIndex, CreatedIndex uint64
	Nodes                       []node
}

func (w *writer) list(key string, s *state, soon int64) {
	w.t.Helper()
	at := url.URL{Path: "/v2/keys" + key}
	r, err := http.Get(w.url + at.EscapedPath() + "?recursive=true&quorum=true")
	check(w.t, err)
	defer r.Body.Close()
	var answer struct{ Node node }
	check(w.t, json.NewDecoder(r.Body).Decode(&answer))
	answer.Node.add(s, soon)
}

func (n *node) add(s *state, soon int64) {
	if !n.Expiration.IsZero() && n.Expiration.UnixNano() < soon {
		return
	}
	if n.Key != "" && n.Key != "/" {
		s.nodes[n.Key] = describe(n.Dir, []byte(n.Value), n.Expiration, n.ModifiedIndex, n.CreatedIndex)
	}
	for i := range n.Nodes {
		n.Nodes[i].add(s, soon)
	}
}
