package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// initTimeout is longer than what any step of the server may take.
const initTimeout = time.Minute

// InitAuth makes the user root with the password, takes all permissions from who has
// none, and enables auth, in one step, and prints what has come of it in one line. It
// returns the exit code: 1 if the server refuses or can't be asked, 2 if there is
// no password, or if it would cross a network unencrypted.
func InitAuth(ctx context.Context, s Server, p Password, stdout, stderr io.Writer) int {
	where := s.URL.Redacted()
	s.URL = s.URL.JoinPath("/v2/copse/auth/init")
	password, err := "", s.MayHearSecrets()
	if err == nil {
		password, err = p.Read(ctx)
	}
	if err != nil {
		fmt.Fprintf(stderr, "not tried: %s: %v\n", where, err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	if err := s.initAuth(ctx, password); err != nil {
		fmt.Fprintf(stderr, "failed: %s: %v\n", where, err)
		return 1
	}
	fmt.Fprintf(stdout, "auth is on: %s: root has its password, and guest no permissions\n", where)
	return 0
}

func (s *Server) initAuth(ctx context.Context, password string) error {
	security, err := s.Security()
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Password string `json:"password"`
	}{password})
	if err != nil {
		return err
	}
	got, err := s.do(ctx, http.MethodPost, string(body), security)
	switch {
	case err != nil:
		return err
	case got.code == http.StatusOK:
		return nil
	case got.code == http.StatusUnauthorized: // who has no password may do this while auth is off
		return errors.New("auth is already enabled")
	}
	var refusal struct{ Message string }
	if json.Unmarshal([]byte(got.body), &refusal) == nil && refusal.Message != "" {
		return errors.New(refusal.Message)
	}
	return fmt.Errorf("%s: %.200q", got.status, got.body)
}

// MayHearSecrets returns an error if the way to the server is a network, and unencrypted.
func (s *Server) MayHearSecrets() error {
	if s.URL.Scheme == "https" || isHere(s.URL.Hostname()) {
		return nil
	}
	return errors.New("the password would cross the network unencrypted; use https, or run this on the server's machine")
}

// isHere reports whether an address is this machine's.
func isHere(host string) bool {
	if isLoopback(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	own, _ := net.InterfaceAddrs() // without them, none is ours
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip.AsSlice()) {
			return true
		}
	}
	return false
}
