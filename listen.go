package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// listener is one address that is listened on.
type listener struct {
	net.Listener
	secure bool
}

// url is what a client of l's would use.
func (l listener) url() string {
	if l.secure {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// wrapped is l with TLS, if that is what it carries.
func (l listener) wrapped(s security) net.Listener {
	if l.secure {
		return tls.NewListener(l.Listener, s.listener())
	}
	return l.Listener
}

// listen takes the addresses of urls, all or none; who is listened for, and by
// which flag, is for the operator.
func listen(who, flag string, urls []url.URL) ([]listener, error) {
	var listeners []listener
	for _, u := range urls {
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for %s: %w; is another server running there? --%s sets the address", who, err, flag), closeAll(listeners))
		}
		listeners = append(listeners, listener{Listener: l, secure: u.Scheme == "https"})
	}
	return listeners, nil
}

func closeAll(listeners []listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// urlsOf lists where listeners are to be found.
func urlsOf(listeners []listener) []string {
	list := make([]string, 0, len(listeners))
	for _, l := range listeners {
		list = append(list, l.url())
	}
	return list
}
