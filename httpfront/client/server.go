package client

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
)

// Server is where to ask.
type Server struct {
	URL *url.URL
	Files
}

// Files in PEM for a URL with https: the certificate to show with its key, and authorities to
// trust beside the system's. All may be empty.
type Files struct{ Cert, Key, CA string }

// answerLimit bounds how many bytes of an answer are read and shown.
const answerLimit = 4 << 10

// answer is what a server has said.
type answer struct {
	code   int
	status string // the code with its name
	body   string // without white space at its ends
}

// do makes one request, with JSON as its body unless that is empty. It follows no
// redirect.
func (s *Server) do(ctx context.Context, method, body string, security *tls.Config) (answer, error) {
	// No proxy: the environment's is for the outside world, and this server is here.
	transport := &http.Transport{TLSClientConfig: security, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, method, s.URL.String(), strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the caller prints the URL
		}
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	return answer{code: response.StatusCode, status: response.Status, body: strings.TrimSpace(string(text))}, err
}

// Security is the TLS for an https URL, which verifies the server's certificate.
func (s *Server) Security() (*tls.Config, error) {
	if s.URL.Scheme != "https" {
		return nil, nil
	}
	return s.TLS()
}

// TLS verifies the server's certificate.
func (s Files) TLS() (*tls.Config, error) {
	security := new(tls.Config)
	if s.Cert != "" {
		security.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
			return &pair, err
		}
	}
	if s.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted-ca-file %s holds no certificate in PEM", s.CA)
		}
		security.RootCAs = pool
	}
	return security, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
