package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"copse/config"
)

// healthLimit bounds what is read and shown of an answer.
const healthLimit = 4 << 10

// runHealth asks the server on this machine how it is.
func runHealth(ctx context.Context, c *config.Config, stdout, stderr io.Writer) int {
	if c.Options.Quiet {
		stdout, stderr = io.Discard, io.Discard
	}
	target := healthURL(c)
	ctx, cancel := context.WithTimeout(ctx, c.Options.Timeout)
	defer cancel()
	if err := askHealth(ctx, c, target); err != nil {
		fmt.Fprintf(stderr, "unwell: %s: %v\n", target, err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "well: %s\n", target)
	return 0
}

// healthURL is where the server answers: on the operations port where one was
// asked for, otherwise on the client port. The default operations port may be
// another server's.
func healthURL(c *config.Config) *url.URL {
	if c.Options.Endpoint != "" {
		u, err := url.Parse(c.Options.Endpoint)
		if err != nil {
			panic(err) // config has parsed it
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/health"
		}
		return u
	}
	urls, path := c.ListenClientURLs, "/health"
	if c.Given("listen-metrics-urls") && len(c.ListenMetricsURLs) > 0 {
		urls, path = c.ListenMetricsURLs, "/readyz"
	}
	u := urls[max(0, slices.IndexFunc(urls, func(u url.URL) bool { return u.Scheme == "http" }))]
	u.Path = path
	// A wildcard is listened on, and can't be asked.
	switch ip, err := netip.ParseAddr(u.Hostname()); {
	case err != nil || !ip.IsUnspecified():
	case ip.Is4():
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	default:
		u.Host = net.JoinHostPort("::1", u.Port())
	}
	return &u
}

// askHealth returns nil if the answer is 200.
func askHealth(ctx context.Context, c *config.Config, target *url.URL) error {
	security, err := healthSecurity(c, target)
	if err != nil {
		return err
	}
	// No proxy: the environment's is for the world outside, this is about the
	// server here.
	transport := &http.Transport{TLSClientConfig: security, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the URL has been said
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

// healthSecurity is the TLS that an https server is asked with; copse help
// health says why.
func healthSecurity(c *config.Config, target *url.URL) (*tls.Config, error) {
	if target.Scheme != "https" {
		return nil, nil
	}
	security := &tls.Config{InsecureSkipVerify: isLoopback(target.Hostname())}
	if c.ClientTLS.CertFile != "" {
		security.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.ClientTLS.CertFile, c.ClientTLS.KeyFile)
			return &pair, err
		}
	}
	if c.ClientTLS.TrustedCAFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(c.ClientTLS.TrustedCAFile)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted-ca-file %s holds no certificate in PEM", c.ClientTLS.TrustedCAFile)
		}
		security.RootCAs = pool
	}
	return security, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
