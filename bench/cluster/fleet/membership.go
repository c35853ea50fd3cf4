package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"copse/bench/v2api"
)

// changeLimit bounds how long one change of the membership may take, while members
// refuse it because they lack a leader or a connection to a peer.
const changeLimit = 30 * time.Second

// listed is a member as the members API shows it.
type listed struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	PeerURLs []string `json:"peerURLs"`
}

// Remove removes a member from the cluster, through one of the others. It reports
// whether the process ended by itself; otherwise it is killed.
func (f *Fleet) Remove(m *Member) (ended bool, err error) {
	err = f.insist(m, func(via *Member) (done bool, err error) {
		list, err := via.list()
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(list, func(l listed) bool { return slices.Contains(l.PeerURLs, m.Advertise()) })
		if i < 0 {
			return true, nil
		}
		status, body, err := via.call(http.MethodDelete, "/v2/members/"+list[i].ID, "")
		if err == nil && status != http.StatusNoContent && status != http.StatusNotFound && status != http.StatusGone {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err == nil, err
	})
	if err != nil {
		return false, fmt.Errorf("remove %s: %w", m.Name, err)
	}
	select {
	case <-m.Done():
		ended = true
	case <-time.After(changeLimit / 2):
	}
	m.Kill()
	f.pids[m.Number].Store(0)
	m.down = true
	return ended, nil
}

// Add adds a member with an empty disk to the cluster, and waits until it serves.
func (f *Fleet) Add(m *Member) error {
	if err := m.wipe(); err != nil {
		return err
	}
	cluster := ""
	err := f.insist(m, func(via *Member) (bool, error) {
		list, err := via.list()
		if err != nil {
			return false, err
		}
		known := slices.ContainsFunc(list, func(l listed) bool { return slices.Contains(l.PeerURLs, m.Advertise()) })
		if known { // an earlier attempt succeeded after all
			cluster = f.names(list)
			return true, nil
		}
		status, body, err := via.call(http.MethodPost, "/v2/members", fmt.Sprintf(`{"peerURLs":[%q]}`, m.Advertise()))
		if err == nil && status != http.StatusCreated && status != http.StatusConflict {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return false, err // the list says whether it's true
	})
	if err != nil {
		return fmt.Errorf("add %s: %w", m.Name, err)
	}
	m.Join(cluster, "existing")
	if err := f.launch(m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	if err := m.Server.WaitReady(ctx); err != nil {
		return fmt.Errorf("add %s: %w", m.Name, err)
	}
	return nil
}

// wipe empties a member's disk.
func (m *Member) wipe() error {
	files, err := filepath.Glob(filepath.Join(m.DataDir, "*"))
	for _, file := range files { // the directory itself may be a mount
		err = errors.Join(err, os.RemoveAll(file))
	}
	return err
}

// Secede makes a member lose its data and start as a cluster of its own.
func (f *Fleet) Secede(i int) error {
	m := f.Members[i]
	f.Kill(i)
	if err := m.wipe(); err != nil {
		return err
	}
	m.Join(m.Name+"="+m.Advertise(), "new")
	return f.launch(m)
}

// names is the --initial-cluster of the listed members.
func (f *Fleet) names(list []listed) string {
	var names []string
	for _, m := range f.all() {
		if slices.ContainsFunc(list, func(l listed) bool { return slices.Contains(l.PeerURLs, m.Advertise()) }) {
			names = append(names, m.Name+"="+m.Advertise())
		}
	}
	return strings.Join(names, ",")
}

// insist tries again, through one member after another, until it's done.
func (f *Fleet) insist(without *Member, try func(via *Member) (done bool, err error)) error {
	deadline := time.Now().Add(changeLimit)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	var last error
	for n := 0; time.Now().Before(deadline); n++ {
		if via := f.Members[n%len(f.Members)]; via != without && !via.down && !via.paused {
			done, err := try(via)
			if done {
				return nil
			}
			if err != nil {
				last = fmt.Errorf("through %s: %w", via.Name, err)
			}
		}
		<-poll.C
	}
	return fmt.Errorf("not within %v: %w", changeLimit, last)
}

func (m *Member) list() ([]listed, error) {
	status, body, err := m.call(http.MethodGet, "/v2/members", "")
	if err != nil {
		return nil, err
	}
	var members struct {
		Members []listed `json:"members"`
	}
	if err := json.Unmarshal(body, &members); err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s: %w", status, body, err)
	}
	return members.Members, nil
}

// call sends one request of the members API.
func (m *Member) call(method, path, body string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), changeLimit/3)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, m.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := v2api.NewClient(m.Dial, 0).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, bytes.TrimSpace(answer), err
}
