package page

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/bench/peer"
)

var binary = flag.String("copse", "", "a copse that has been built, instead of building one")

// member is a copse with an operations port.
type member struct {
	*peer.Server
	operations string // host:port
}

// startMembers starts a cluster, and waits until it serves.
func startMembers(t *testing.T, size int, args ...string) (list []member) {
	t.Helper()
	ports, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 3*size)
	if err != nil {
		t.Fatal(err)
	}
	kind := peer.Copse
	if *binary != "" {
		kind = peer.Built(*binary)
	}
	var cluster []string
	for i := range size {
		cluster = append(cluster, fmt.Sprintf("m%d=http://%s", i+1, ports[size+i]))
	}
	for i := range size {
		place := peer.Place{Name: fmt.Sprintf("m%d", i+1), Address: ports[i], PeerURL: "http://" + ports[size+i], Cluster: strings.Join(cluster, ",")}
		s, err := peer.Prepare(kind, peer.Options{Args: append(args, "--listen-metrics-urls=http://"+ports[2*size+i])}, place)
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
		list = append(list, member{s, ports[2*size+i]})
	}
	for _, m := range list {
		m.await(t)
	}
	return list
}

func (m member) await(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := m.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

var client = &http.Client{Timeout: waitLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// ask sends a request to an address; form may be "".
func ask(t *testing.T, method, target, form string, headers ...string) (int, string) {
	t.Helper()
	code, body, err := tryAsk(method, target, form, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return code, body
}

func tryAsk(method, target, form string, headers ...string) (int, string, error) {
	req, err := http.NewRequest(method, "http://"+target, strings.NewReader(form))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// set writes a key on the client port.
func (m member) set(t *testing.T, key, value string, more ...string) {
	t.Helper()
	form := url.Values{"value": {value}}.Encode() + "&" + strings.Join(more, "&")
	if code, body := ask(t, "PUT", m.Address+"/v2/keys"+key, form); code > 201 {
		t.Fatalf("PUT %s: %d %s", key, code, body)
	}
}

// has checks the value of a key on the client port.
func (m member) has(t *testing.T, key, value string) {
	t.Helper()
	if code, body := ask(t, "GET", m.Address+"/v2/keys"+key, ""); code != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"value":%q`, value)) {
		t.Errorf("%s isn't %q: %d %s", key, value, code, body)
	}
}

// fillers is how many connections fill uses: the member syncs once for what many send.
const fillers = 128

// fill writes n keys. Each connection sends its share without waiting for answers.
func (m member) fill(t *testing.T, n int, key func(i int) string) {
	t.Helper()
	var group sync.WaitGroup
	for first := range min(fillers, n) {
		group.Go(func() {
			if err := m.fillShare(first, n, key); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// fillShare writes every key whose number is first, modulo fillers.
func (m member) fillShare(first, n int, key func(i int) string) error {
	c, err := net.DialTimeout("tcp", m.Address, waitLimit)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * waitLimit)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(c)
		for i := first; i < n; i += fillers {
			value := fmt.Sprintf("value=%d", i)
			fmt.Fprintf(w, "PUT /v2/keys%s HTTP/1.1\r\nHost: m\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", key(i), len(value), value)
		}
		sent <- w.Flush()
	}()
	r := bufio.NewReader(c)
	for i := first; i < n; i += fillers {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return errors.Join(err, c.Close(), <-sent)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode > http.StatusCreated {
			return errors.Join(fmt.Errorf("PUT %s: %s %s", key(i), resp.Status, body), err, c.Close(), <-sent)
		}
	}
	return <-sent
}

// sample writes a tree such as a small company may have.
func (m member) sample(t *testing.T) {
	t.Helper()
	for key, value := range map[string]string{
		"/services/web/instances/web-1": "10.0.3.17:8080", "/services/web/instances/web-2": "10.0.3.18:8080", "/services/web/instances/web-3": "10.0.3.21:8080",
		"/services/api/instances/api-1": "10.0.4.2:9000", "/services/api/instances/api-2": "10.0.4.5:9000", "/services/search/leader": "search-2",
		"/config/web/limits":   `{"requests":{"per_second":250,"burst":1000},"body_bytes":12345678901234567890,"paths":["/","/search"],"strict":true}`,
		"/config/web/features": `{"dark_mode": true, "beta": }`,
		"/config/web/motd":     "Welcome.\nThe shop is open.\nBe kind.", "/config/database/primary": "db-1.example.com", "/config/database/pool": "32",
		"/feature/checkout": "on", "/feature/search-v2": "off", "/_internal/secret-path": "hidden", "/message": "Hello world",
	} {
		m.set(t, key, value)
	}
	m.set(t, "/locks/deploy", "alice@build-7", "ttl=300")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}
