package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"copse/bench/peer"
)

// The load of the figure auth.
const (
	authConnections  = 64
	floodConnections = 8
	authSpan         = 10 * time.Second // of each measurement
	// fewUsers is what etcd gets: it hashes the password with each request, so
	// that how many users there are is the same to it.
	fewUsers = 64
)

// authFigure measures reads with auth off and on, by many users, and what becomes of
// them beside a flood of wrong passwords.
func authFigure(o options, s *peer.Server, r *results) error {
	users := o.n
	if !s.Kind.IsCopse() {
		users = fewUsers
	}
	if err := fillBench(s.Address, false); err != nil {
		return err
	}
	off, err := readSpan(s, gets(s.Address, ""))
	if err != nil {
		return err
	}
	r.add("GET, auth off, 64 connections", rate, off.rate)
	r.add("server CPU for each", microseconds, off.cpu)
	begin := time.Now()
	if err := makeUsers(s, users); err != nil {
		return err
	}
	r.add("users", plain, float64(users))
	r.add("to make one", millis, time.Since(begin).Seconds()/float64(users))

	right := userGets(s.Address, users, authConnections, "right")
	c, err := connect(s.Address, floodConnections, 1, userGets(s.Address, users, floodConnections, "right"))
	if err != nil {
		return err
	}
	begin = time.Now()
	_, err = c.runUntil(int64((users + floodConnections - 1) / floodConnections)) // each once
	c.close()
	if err != nil {
		return err
	}
	r.add("the first GET of each user", rate, float64(users)/time.Since(begin).Seconds())
	on, err := readSpan(s, right)
	if err != nil {
		return err
	}
	r.add("GET, auth on, 64 connections, all users", rate, on.rate)
	r.add("server CPU for each, auth on", microseconds, on.cpu)
	r.add("CPU, auth on : off", plain, on.cpu/off.cpu)
	own, err := readSpan(s, userGets(s.Address, authConnections, authConnections, "right")) // each has one
	if err != nil {
		return err
	}
	r.add("GET, auth on, 64 connections, one user each", rate, own.rate)
	r.add("server CPU for each, one user each", microseconds, own.cpu)
	r.add("CPU, one user each : off", plain, own.cpu/off.cpu)
	return flooded(s, r, users, on)
}

// flooded measures a flood of wrong passwords, alone and beside right ones.
func flooded(s *peer.Server, r *results, users int, alone reading) error {
	wrong := userGets(s.Address, users, floodConnections, "wrong")
	wrong.codes = []int{http.StatusUnauthorized, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusTooManyRequests}
	flood, err := connect(s.Address, floodConnections, 1, wrong)
	if err != nil {
		return err
	}
	defer flood.close()
	before, err := look(s.PID())
	if err != nil {
		return err
	}
	took, err := flood.run(authSpan)
	if err != nil {
		return err
	}
	after, err := look(s.PID())
	if err != nil {
		return err
	}
	r.add("wrong passwords, 8 connections", rate, float64(flood.answered)/took.Seconds())
	r.add("cores that they take", plain, after.since(before).server.Seconds()/took.Seconds())

	ended := make(chan error, 1)
	stop := time.Now().Add(2 * authSpan) // longer than the measurement
	go func() {
		_, err := flood.run(time.Until(stop))
		ended <- err
	}()
	beside, err := readSpan(s, userGets(s.Address, users, authConnections, "right"))
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	r.add("GET with right ones beside them", rate, beside.rate)
	r.add("p50 alone", millis, alone.p50)
	r.add("p50 beside them", millis, beside.p50)
	r.add("p99 alone", millis, alone.p99)
	r.add("p99 beside them", millis, beside.p99)
	r.add("rate alone : beside them", plain, alone.rate/beside.rate)
	return nil
}

// readSpan measures one kind of request.
func readSpan(s *peer.Server, from source) (reading, error) {
	w := workload{connections: authConnections, depth: 1, source: func(string) source { return from }}
	t := &target{address: s.Address, pid: s.PID(), attended: true}
	return runOne(requestOptions{warm: authSpan / 4, duration: authSpan}, w, t)
}

// userGets reads one of the keys as one user after the other.
func userGets(address string, users, connections int, password string) *prepared {
	p := &prepared{codes: []int{http.StatusOK}}
	for i := range users {
		header := "Authorization: Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "u%d:%s", i, password)) + "\r\n\r\n"
		p.requests = append(p.requests, append(bytes.TrimSuffix(getRequest(address, benchKey(i)), []byte("\r\n")), header...))
	}
	p.pick = func(c int, n int64) int { return (c + int(n)*connections) % users }
	return p
}

// makeUsers makes users who may read the keys, closes the guest and enables auth.
func makeUsers(s *peer.Server, users int) error {
	put := func(path string, body any) error {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		req, err := http.NewRequest(http.MethodPut, s.URL+path, bytes.NewReader(text))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= http.StatusMultipleChoices {
			why, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("PUT %s: %s %s", path, resp.Status, why)
		}
		return nil
	}
	type fields map[string]any
	reads := fields{"kv": fields{"read": []string{benchDir + "/*"}}}
	err := errors.Join(
		put("/v2/auth/users/root", fields{"user": "root", "password": "right"}),
		put("/v2/auth/roles/reads", fields{"role": "reads", "permissions": reads}),
		put("/v2/auth/roles/guest", fields{"role": "guest"}),
	)
	if err != nil {
		return err
	}
	err = spread(s.Address, floodConnections, users, func(_ *wire, i int) (err error) {
		name := fmt.Sprint("u", i)
		for range 3 { // on a busy machine a hash may take too long
			if err = put("/v2/auth/users/"+name, fields{"user": name, "password": "right", "roles": []string{"reads"}}); err == nil {
				break
			}
			fmt.Fprintln(os.Stderr, err)
		}
		return err
	})
	if err != nil {
		return err
	}
	return put("/v2/auth/enable", nil)
}

func microseconds(v float64) string { return fmt.Sprintf("%.1f us", v) }
func plain(v float64) string        { return strings.TrimSuffix(fmt.Sprintf("%.2f", v), ".00") }
