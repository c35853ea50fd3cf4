package bounds_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
)

// bystanderOf is the variable that makes a bystander of this program: the URL of its server.
const bystanderOf = "COPSE_BYSTANDER_OF"

func TestMain(m *testing.M) {
	if url := os.Getenv(bystanderOf); url != "" {
		if err := standBy(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// waits are how long the PUTs of a bystander took.
type waits struct {
	P50, P90, P99, Max time.Duration
	Served, Unserved   int
}

func (w waits) String() string {
	return fmt.Sprintf("p50 %v, p90 %v, p99 %v, at most %v (%d served, %d not)", w.P50, w.P90, w.P99, w.Max, w.Served, w.Unserved)
}

// standBy puts a small value every two milliseconds or so, over one connection, until the standard input ends.
// Then it prints its waits.
func standBy(url string) error {
	over := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		over <- err
	}()
	client := &http.Client{Timeout: patience}
	var w waits
	var took []time.Duration
	for {
		began := time.Now()
		if putSmall(client, url) == nil {
			took = append(took, time.Since(began))
		} else {
			w.Unserved++
		}
		select {
		case err := <-over:
			if w.Served = len(took); w.Served > 0 {
				slices.Sort(took)
				at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond) }
				w.P50, w.P90, w.P99, w.Max = at(0.5), at(0.9), at(0.99), at(1)
			}
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(w)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func putSmall(client *http.Client, url string) error {
	resp, err := sendPut(client, url, "/beside", "value=v")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.Body.Close(); err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return err
}

// beside runs a bystander while does is running. It has a process of its own, as its waits would otherwise be the
// crowd's, too.
func beside(t *testing.T, node *peer.Server, does func()) (w waits) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), bystanderOf+"="+node.URL)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	defer func() {
		_ = in.Close()
		if err := <-ended; err != nil {
			t.Errorf("bystander: %v", err)
		} else if err := json.Unmarshal([]byte(out.String()), &w); err != nil {
			t.Errorf("bystander: %q: %v", out.String(), err)
		}
	}()
	go func() { ended <- cmd.Wait() }()
	does()
	return w
}
