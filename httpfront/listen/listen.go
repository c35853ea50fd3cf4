package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"copse/config/logging"
)

// Listener is one open address.
type Listener struct {
	net.Listener
	// Its URLs are http, https, or both: then each client says with its first byte which
	// one it speaks.
	Plain, Secure bool
}

// URLs are those that clients of l would use.
func (l Listener) URLs() (urls []string) {
	if l.Plain {
		urls = append(urls, "http://"+l.Addr().String())
	}
	if l.Secure {
		urls = append(urls, "https://"+l.Addr().String())
	}
	return urls
}

// WithTLS is l with the TLS of config if its URL is https, else l as it is. Not both:
// package config refuses that for all but clients.
func (l Listener) WithTLS(config func() *tls.Config) net.Listener {
	if l.Secure {
		return tls.NewListener(l.Listener, config())
	}
	return l.Listener
}

// Listeners are open addresses.
type Listeners []Listener

// Open opens the addresses of urls, all or none: one for each host and port. The error
// names whom they are for and the flag that sets them.
func Open(who, flag string, urls []url.URL) (Listeners, error) {
	var list Listeners
	at := map[string]int{} // by host and port
	for _, u := range urls {
		if i, open := at[u.Host]; open {
			list[i].add(u)
			continue
		}
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			err = fmt.Errorf("listen for %s: %w; %s", who, err, logging.BindAdvice(err, flag))
			return nil, errors.Join(err, list.Close())
		}
		at[u.Host] = len(list)
		list = append(list, Listener{Listener: l})
		list[len(list)-1].add(u)
	}
	return list, nil
}

func (l *Listener) add(u url.URL) {
	if u.Scheme == "https" {
		l.Secure = true
	} else {
		l.Plain = true
	}
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
		urls = append(urls, l.URLs()...)
	}
	return urls
}
