package ops

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Question is what copse health asks.
type Question struct {
	URL *url.URL
	// Files in PEM for a URL with https: the certificate to show with its key, and
	// authorities to trust beside the system's. All may be empty.
	Cert, Key, CA string

	Timeout time.Duration
	Quiet   bool // print nothing
}

// healthLimit is how many bytes of an answer are read and shown.
const healthLimit = 4 << 10

// Health asks a server for its health and prints the answer. It returns the exit
// code: 0 if the server is healthy, else 1.
func Health(ctx context.Context, q Question, stdout, stderr io.Writer) int {
	if q.Quiet {
		stdout, stderr = io.Discard, io.Discard
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	if err := q.ask(ctx); err != nil {
		fmt.Fprintf(stderr, "unhealthy: %s: %v\n", q.URL, err)
		return 1
	}
	fmt.Fprintf(stdout, "healthy: %s\n", q.URL)
	return 0
}

// ask returns nil if the answer is 200, and otherwise what went wrong.
func (q *Question) ask(ctx context.Context) error {
	security, err := q.security()
	if err != nil {
		return err
	}
	// No proxy: the environment's is for the outside world, and this server is here.
	transport := &http.Transport{TLSClientConfig: security, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, q.URL.String(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the caller prints the URL
		}
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, healthLimit))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// security is the TLS for an https URL. On loopback any certificate is accepted, as
// few name 127.0.0.1: nothing secret is sent, and whoever can listen there has this
// machine already.
func (q *Question) security() (*tls.Config, error) {
	if q.URL.Scheme != "https" {
		return nil, nil
	}
	security := &tls.Config{InsecureSkipVerify: isLoopback(q.URL.Hostname())}
	if q.Cert != "" {
		security.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(q.Cert, q.Key)
			return &pair, err
		}
	}
	if q.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(q.CA)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted-ca-file %s holds no certificate in PEM", q.CA)
		}
		security.RootCAs = pool
	}
	return security, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
