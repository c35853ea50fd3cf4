// Package listen opens the addresses that the server is reached at, for clients
// and for operators.
//
// It runs no goroutine: whoever opens a Listener serves and closes it.
package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// Listener is one open address.
type Listener struct {
	net.Listener
	Secure bool // its URL is https
}

// URL is the URL that clients of l would use.
func (l Listener) URL() string {
	if l.Secure {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// WithTLS is l with the TLS of config if its URL is https, else l as it is.
func (l Listener) WithTLS(config func() *tls.Config) net.Listener {
	if l.Secure {
		return tls.NewListener(l.Listener, config())
	}
	return l.Listener
}

// Listeners are open addresses.
type Listeners []Listener

// Open opens the addresses of urls, all or none. The error names whom they are for
// and the flag that sets them.
func Open(who, flag string, urls []url.URL) (Listeners, error) {
	var list Listeners
	for _, u := range urls {
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			err = fmt.Errorf("listen for %s: %w; is another server running there? --%s sets the address", who, err, flag)
			return nil, errors.Join(err, list.Close())
		}
		list = append(list, Listener{Listener: l, Secure: u.Scheme == "https"})
	}
	return list, nil
}

// Close closes all of them.
func (list Listeners) Close() error {
	var errs []error
	for _, l := range list {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// URLs lists the URLs of all.
func (list Listeners) URLs() []string {
	urls := make([]string, 0, len(list))
	for _, l := range list {
		urls = append(urls, l.URL())
	}
	return urls
}
