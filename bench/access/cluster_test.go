package access

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"copse/bench/peer"
)

const (
	members = 3
	// patience is for what has to happen; nothing waits for it to pass, unless a
	// member is at fault.
	patience = 60 * time.Second
)

// A member is one server of the cluster. known is the number of the latest state that
// it has been seen to have applied.
type member struct {
	*peer.Server
	known atomic.Int64
}

// startCluster starts three members with four shards.
func startCluster(t *testing.T) (list []*member) {
	t.Helper()
	free, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 2*members)
	if err != nil {
		t.Fatal(err)
	}
	var cluster []string
	for i := range members {
		cluster = append(cluster, fmt.Sprintf("n%d=http://%s", i, free[2*i+1]))
	}
	for i := range members {
		s, err := peer.Prepare(peer.Copse, peer.Options{Args: peer.Sharded(peer.Copse, 4)}, peer.Place{
			Name: fmt.Sprint("n", i), Address: free[2*i], PeerURL: "http://" + free[2*i+1], Cluster: strings.Join(cluster, ","),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("end of %s's log:\n%s", s.Name, s.LogTail())
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := s.Relaunch(); err != nil {
			t.Fatal(err)
		}
		list = append(list, &member{Server: s})
	}
	for _, m := range list {
		m.await(t, m.WaitReady)
	}
	return list
}

func (m *member) await(t tb, what func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := what(ctx); err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
}

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// ask sends a request and returns the status and body. A body is a form, or JSON on /v2/auth.
func (m *member) ask(client *http.Client, who, password, method, path, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := m.open(ctx, client, who, password, method, path, body)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func (m *member) open(ctx context.Context, client *http.Client, who, password, method, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if who != guest {
		req.SetBasicAuth(who, password)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return client.Do(req)
}

// object is a JSON object of names and values.
func object(pairs ...any) string {
	fields := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err) // all that is passed can be encoded
	}
	return string(text)
}
