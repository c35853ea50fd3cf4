package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Question is what copse health asks.
type Question struct {
	Server  Server
	Timeout time.Duration
	Quiet   bool // print nothing
}

// Health asks a server for its health and prints the answer. It returns the exit
// code: 0 if the server is healthy, else 1.
func Health(ctx context.Context, q Question, stdout, stderr io.Writer) int {
	if q.Quiet {
		stdout, stderr = io.Discard, io.Discard
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	if err := q.ask(ctx); err != nil {
		fmt.Fprintf(stderr, "unhealthy: %s: %v\n", q.Server.URL.Redacted(), err)
		return 1
	}
	fmt.Fprintf(stdout, "healthy: %s\n", q.Server.URL.Redacted())
	return 0
}

// ask returns nil if the answer is 200, and otherwise what went wrong.
func (q *Question) ask(ctx context.Context) error {
	security, err := q.Security()
	if err != nil {
		return err
	}
	got, err := q.Server.do(ctx, http.MethodGet, "", security)
	if err != nil {
		return err
	}
	if got.code != http.StatusOK {
		return fmt.Errorf("%s: %s", got.status, got.body)
	}
	return nil
}

// security is that of the server, but on loopback any certificate is accepted, as few name
// 127.0.0.1: nothing secret is sent, and whoever can listen there has this machine
// already.
func (q *Question) Security() (*tls.Config, error) {
	security, err := q.Server.Security()
	if security != nil {
		security.InsecureSkipVerify = isLoopback(q.Server.URL.Hostname())
	}
	return security, err
}
