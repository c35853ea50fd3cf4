package commands

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestAWriteIsRepeatedWhereIdsAreKnown: etcd would make it a second time.
func TestAWriteIsRepeatedWhereIdsAreKnown(t *testing.T) {
	const refused = `{"errorCode":300,"message":"Raft Internal Error","cause":"requestId can't be used: a reason","index":1}`
	for name, c := range map[string]struct {
		knows, refuses bool
		code           int
		writes         int // at the second server
	}{
		"copse":                      {true, false, 0, 1},
		"etcd":                       {false, false, exitRefused, 0},
		"copse that can't do it now": {true, true, exitRefused, 1},
	} {
		var mu sync.Mutex // guards ids
		var ids []string
		came := func(r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, r.URL.Query().Get("requestId"))
		}
		first, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
			came(r)
			breaksOff(w, r)
		})
		writes := 0
		second, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodGet && c.knows:
				w.WriteHeader(http.StatusMethodNotAllowed)
			case r.Method == http.MethodGet:
				w.WriteHeader(http.StatusNotFound)
			case c.refuses:
				writes++
				w.WriteHeader(http.StatusInternalServerError)
				io.WriteString(w, refused)
			default:
				writes++
				came(r)
				done(w, r)
			}
		})
		code, _, stderr := perform(t, "", first+","+second, "set /k v")
		if code != c.code || writes != c.writes || c.code != 0 && !strings.Contains(stderr, "the write may have been made") {
			t.Errorf("%s: exit code %d, %d writes at the second: %s", name, code, writes, stderr)
		}
		mu.Lock()
		if ids[0] == "" || c.code == 0 && (len(ids) != 2 || ids[0] != ids[1]) {
			t.Errorf("%s: the ids %q", name, ids)
		}
		mu.Unlock()
	}
}

// TestAnIdThatIsRefusedIsLeftOut, unless the write may have been made already.
func TestAnIdThatIsRefusedIsLeftOut(t *testing.T) {
	server, requests := answers(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("requestId") {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, `{"errorCode":300,"message":"m","cause":"requestId can't be used: a reason","index":1}`)
			return
		}
		done(w, r)
	})
	if code, stdout, stderr := perform(t, "", server, "set /k v"); code != 0 || stdout != "v\n" || requests.Load() != 2 {
		t.Errorf("exit code %d after %d requests: %s%s", code, requests.Load(), stdout, stderr)
	}
}

func TestTransactions(t *testing.T) {
	var got string
	server, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprint(r.Method, " ", r.URL.Path, " ", string(body))
		io.WriteString(w, `{"results":[{"action":"create","node":{"key":"/b","value":"1","modifiedIndex":5,"createdIndex":5}}
,{"action":"delete","node":{"key":"/a","modifiedIndex":6,"createdIndex":4},"prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}
]}`)
	})
	file := filepath.Join(t.TempDir(), "txn.json")
	if err := os.WriteFile(file, []byte(`{"ops": [{"op": "delete", "key": "/<a>"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const simple = "[create] /b\n[delete] /a\n"
	for line, want := range map[string]string{
		"mv /a /b":             `{"ops":[{"key":"/a","op":"rename","to":"/b"}]}`,
		"cp --overwrite /a /b": `{"ops":[{"key":"/a","op":"copy","overwrite":true,"to":"/b"}]}`,
		"txn " + file:          `{"ops":[{"op":"delete","key":"\u003ca\u003e"}]}`,
		"txn":                  `{"ops":[]}`,
	} {
		want = strings.Replace(want, `"\u003ca`, `"/\u003ca`, 1)
		code, stdout, stderr := perform(t, `{"ops":[]}`, server, line)
		if code != 0 || stdout != simple || got != "POST /v2/copse/txn "+want {
			t.Errorf("%s: exit code %d, %s%s\n got %s\nwant %s", line, code, stdout, stderr, got, want)
		}
	}
	code, stdout, _ := perform(t, "", server, "mv -o json /a /b")
	if lines := strings.Split(stdout, "\n"); code != 0 || len(lines) != 3 || !json.Valid([]byte(lines[1])) {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	if code, _, stderr := perform(t, "{", server, "txn -"); code != exitUsage || !strings.Contains(stderr, "isn't JSON") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
