package etcddir_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine/etcddir"
	"copse/statemachine/etcddir/etcddirtest"
	"copse/statemachine/tree"
)

// samples are data directories that real etcds wrote, and what they answered; testdata/README.md
// says how they were made. The index of a backup is that of its files: the etcd that was
// started on them with --force-new-cluster, and asked, had taken five more.
var samples = []struct {
	name, dirs string
	index      tree.Index // 0: the one that was answered
	skip       string     // keys that were not there when etcd was asked
}{
	{name: "etcd-2.3.8-single", dirs: "etcd-2.3.8-single"},
	{name: "etcd-3.4.23-single", dirs: "etcd-3.4.23-single"},
	{name: "etcd-3.5.35-single", dirs: "etcd-3.5.35-single"},
	{name: "etcd-2.3.8-backup", dirs: "etcd-2.3.8-backup", index: 192, skip: "/ttl/soon"},
	{name: "etcd-3.4.23-backup", dirs: "etcd-3.4.23-backup", index: 192, skip: "/ttl/soon"},
	{name: "etcd-3.4.23-three", dirs: "three/m4"},
	{name: "etcd-3.4.23-three", dirs: "three/m1 three/m2 three/m3 three/m4", index: 150, skip: "/three/uncommitted"},
	{name: "etcd-upgraded-2.3-3.4-3.5", dirs: "etcd-upgraded-2.3-3.4-3.5"},
}

// unasked are hidden nodes that etcd had, but wasn't asked for: they are hidden once more
// below what it was asked for.
var unasked = []string{"/_etcd/registry/tok/_config", "/_etcd/registry/tok/_config/size", "/_secret/sub/_more",
	"/nested/a/_hid/_deeper", "/nested/a/_hid/_deeper/y", "/tail/_hid"}

type answer struct {
	Node *node `json:"node"`
}

type node struct {
	Key                         string
	Value                       *string
	Dir                         bool
	Expiration                  *time.Time
	ModifiedIndex, CreatedIndex tree.Index
	Nodes                       []*node
}

// expected is what etcd answered.
type expected struct {
	Tree    answer
	Hidden  map[string]*answer
	Headers map[string]string
	Members struct {
		Members []struct {
			ID, Name             string
			PeerURLs, ClientURLs []string
		}
	}
	Users       struct{ Users []struct{ User string } }
	Roles       struct{ Roles []struct{ Role string } }
	AuthEnabled struct{ Enabled bool }
	Keys        map[string]string // of the sample "killed"
}

func (n *node) flat(into map[string]*node) {
	if n.Key != "" && n.Key != "/" {
		into[n.Key] = n
	}
	for _, child := range n.Nodes {
		child.flat(into)
	}
}

func TestSamplesGiveWhatEtcdAnswered(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name+" "+s.dirs, func(t *testing.T) {
			want := readExpected(t, s.name)
			got := readSample(t, s.name, strings.Fields(s.dirs)...)
			compareTree(t, got, want, s.skip)
			index := s.index
			if index == 0 {
				index = parseIndex(t, want.Headers["X-Etcd-Index"])
			}
			if got.Index != index {
				t.Errorf("index %d, want %d", got.Index, index)
			}
			if !got.Losses.Whole() || got.Losses.Torn != nil {
				t.Errorf("losses %+v", got.Losses)
			}
			t.Logf("%d nodes, window from %d with %d events, counts %+v", got.Counts.Nodes, got.Window.Start, len(got.Window.Events), got.Counts)
		})
	}
}

func compareTree(t *testing.T, got *etcddir.Result, want *expected, skip string) {
	t.Helper()
	nodes := map[string]*node{}
	want.Tree.Node.flat(nodes)
	for _, h := range want.Hidden {
		if h != nil {
			h.Node.flat(nodes)
		}
	}
	previous := ""
	for n := range got.Nodes() {
		if previous != "" && tree.CompareKeys(previous, n.Key) >= 0 {
			t.Errorf("%s comes after %s", n.Key, previous)
		}
		previous = n.Key
		if n.Key == skip || slices.Contains(unasked, n.Key) {
			continue
		}
		w := nodes[strings.ToValidUTF8(n.Key, "\ufffd")]
		if w == nil {
			t.Errorf("%s isn't etcd's", n.Key)
			continue
		}
		delete(nodes, w.Key)
		if problem := w.differs(n); problem != "" {
			t.Errorf("%s: %s", n.Key, problem)
		}
	}
	for key := range nodes {
		t.Errorf("%s is missing", key)
	}
}

// differs says in what n isn't w. The answer of etcd has U+FFFD for each byte that isn't
// UTF-8.
func (w *node) differs(n tree.Node) string {
	switch {
	case n.Dir != w.Dir:
		return "a file for a directory, or the other way round"
	case n.Modified != w.ModifiedIndex || n.Created != w.CreatedIndex:
		return "other indexes"
	case (n.Expires != 0) != (w.Expiration != nil) || w.Expiration != nil && w.Expiration.UnixNano() != n.Expires:
		return "another expiration"
	case !n.Dir && (w.Value == nil || *w.Value != string([]rune(string(n.Value)))):
		return "another value"
	}
	return ""
}

func TestTheLogAloneGivesTheSame(t *testing.T) {
	for _, s := range samples[:3] {
		files := etcddirtest.Files(t, s.name)
		for name := range files {
			if strings.HasSuffix(name, ".snap") {
				delete(files, name)
			}
		}
		got, err := etcddir.Read([]etcddir.Source{{Name: s.name, Dir: sub(t, files, s.dirs)}}, etcddir.Options{})
		if err != nil {
			t.Fatal(err)
		}
		compareTree(t, got, readExpected(t, s.name), "")
		if got.Counts.Entries < 200 || got.Counts.Foreign > 0 {
			t.Errorf("%s: counts %+v", s.name, got.Counts)
		}
	}
}

func TestHeadersMembersAndUsersAreTaken(t *testing.T) {
	for _, s := range samples {
		if strings.Contains(s.name, "backup") { // its members are those of the etcd that was started on it
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			want := readExpected(t, s.name)
			got := readSample(t, s.name, strings.Fields(s.dirs)...)
			if cluster := want.Headers["X-Etcd-Cluster-Id"]; formatID(got.Cluster.ID) != cluster {
				t.Errorf("cluster %x, want %s", got.Cluster.ID, cluster)
			}
			if term := parseIndex(t, want.Headers["X-Raft-Term"]); tree.Index(got.Term) != term && s.skip == "" {
				t.Errorf("term %d, want %d", got.Term, term)
			}
			if len(got.Cluster.Members) != len(want.Members.Members) {
				t.Fatalf("%d members, want %d", len(got.Cluster.Members), len(want.Members.Members))
			}
			for i, w := range want.Members.Members {
				m := got.Cluster.Members[i]
				if formatID(m.ID) != w.ID || m.Name != w.Name || !slices.Equal(m.PeerURLs, w.PeerURLs) || !slices.Equal(m.ClientURLs, w.ClientURLs) {
					t.Errorf("member %+v, want %+v", m, w)
				}
			}
			if got.Access.Enabled != want.AuthEnabled.Enabled {
				t.Errorf("auth enabled: %t", got.Access.Enabled)
			}
			var users, roles []string
			for _, u := range got.Access.Users {
				users = append(users, u.Name)
				if !strings.HasPrefix(u.Hash, "$2a$10$") {
					t.Errorf("the hash of %s is %q", u.Name, u.Hash)
				}
			}
			for _, r := range got.Access.Roles {
				roles = append(roles, r.Name)
			}
			roles = append(roles, "root") // built in
			slices.Sort(roles)
			for i, u := range want.Users.Users {
				if i >= len(users) || users[i] != u.User {
					t.Errorf("users %q, want %v", users, want.Users.Users)
				}
			}
			for i, r := range want.Roles.Roles {
				if i >= len(roles) || roles[i] != r.Role {
					t.Errorf("roles %q, want %v", roles, want.Roles.Roles)
				}
			}
		})
	}
}

func TestWhatWasAnsweredLiesBehindTheCommit(t *testing.T) {
	want := readExpected(t, "etcd-3.4.23-killed")
	for _, dir := range []string{"ack/a", "ack/b", "ack/c"} {
		got := readSample(t, "etcd-3.4.23-killed", dir)
		keys := map[string]string{}
		for n := range got.Nodes() {
			keys[n.Key] = string(n.Value)
		}
		for key, value := range want.Keys {
			if keys[key] != value {
				t.Errorf("%s: %s is %q, want %q", dir, key, keys[key], value)
			}
		}
		if len(keys) != len(want.Keys) || got.Counts.Uncommitted != 1 {
			t.Errorf("%s: %d keys, %d entries behind the commit", dir, len(keys), got.Counts.Uncommitted)
		}
		committed, err := etcddir.Read([]etcddir.Source{{Name: dir, Dir: sub(t, etcddirtest.Files(t, "etcd-3.4.23-killed"), dir)}}, etcddir.Options{CommittedOnly: true})
		if err != nil || committed.Counts.Nodes != 29 || committed.Losses.Uncommitted != 1 || committed.Losses.Whole() || committed.Counts.Uncommitted != 1 {
			t.Errorf("%s: %+v, %v", dir, committed, err)
		}
	}
}

// readSample reads directories of a sample, which must be whole.
func readSample(t *testing.T, name string, dirs ...string) *etcddir.Result {
	t.Helper()
	files := etcddirtest.Files(t, name)
	var sources []etcddir.Source
	for _, dir := range dirs {
		sources = append(sources, etcddir.Source{Name: dir, Dir: sub(t, files, dir)})
	}
	got, err := etcddir.Read(sources, etcddir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func readExpected(t *testing.T, name string) *expected {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want expected
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	return &want
}

func sub(t testing.TB, files fs.FS, dir string) fs.FS {
	t.Helper()
	d, err := fs.Sub(files, dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
