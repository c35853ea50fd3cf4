package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func parseMilliseconds(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of milliseconds", s)
	}
	return time.Duration(n) * time.Millisecond, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 30s or 1m30s", s)
	}
	return d, nil
}

func parseUnsigned(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}

func parseCount(s string) (int, error) {
	n, err := parseUnsigned(s)
	return int(min(n, math.MaxInt)), err
}

func parseBytes(s string) (int64, error) {
	n, err := parseUnsigned(s)
	return int64(n), err
}

// parseLevel takes etcd's levels; copse has nothing louder than an error.
func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error", "dpanic", "panic", "fatal":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not debug, info, warn or error", s)
}

func printLevel(l slog.Level) string { return strings.ToLower(l.String()) }

func printList(list []string) string { return strings.Join(list, ",") }

// parseOrigins takes any strings, as etcd 2.3 did: they are compared with the
// Origin header as they are. One * stands for all, whatever is beside it.
func parseOrigins(s string) ([]string, error) {
	var origins []string
	for _, o := range strings.Split(s, ",") {
		switch o = strings.TrimSpace(o); {
		case o == "*":
			return []string{"*"}, nil
		case strings.ContainsAny(o, " \t\r\n"):
			return nil, fmt.Errorf("%q is not an origin", o)
		case o != "":
			origins = append(origins, o)
		}
	}
	return origins, nil
}

func parseURLs(s string) ([]url.URL, error) {
	var list []url.URL
	var complaints []error
	for _, text := range strings.Split(s, ",") {
		u, err := parseURL(strings.TrimSpace(text))
		switch {
		case err != nil:
			complaints = append(complaints, err)
		case !slices.Contains(list, u):
			list = append(list, u)
		}
	}
	return list, errors.Join(complaints...)
}

// parseURL takes what etcd takes: a scheme, a host and a port, nothing else.
func parseURL(s string) (url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return url.URL{}, fmt.Errorf("%q is not a URL such as http://127.0.0.1:2379", s)
	}
	switch u.Scheme {
	case "http":
	case "https":
		return url.URL{}, fmt.Errorf("%q: https is not served yet", s)
	case "unix", "unixs":
		return url.URL{}, fmt.Errorf("%q: unix sockets are not served", s)
	default:
		return url.URL{}, fmt.Errorf("%q must begin with http://", s)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil || host == "" {
		return url.URL{}, fmt.Errorf("%q needs a host and a port, such as http://127.0.0.1:2379", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return url.URL{}, fmt.Errorf("%q: %q is not a port", s, port)
	}
	if bare := (url.URL{Scheme: u.Scheme, Host: u.Host}); *u != bare {
		return url.URL{}, fmt.Errorf("%q must end after the port", s)
	}
	return *u, nil
}

func printURLs(list []url.URL) string {
	var texts []string
	for _, u := range list {
		texts = append(texts, u.String())
	}
	return printList(texts)
}

// parseMembers reads name=url,name=url; a name may come more than once.
func parseMembers(s string) ([]Member, error) {
	var members []Member
	for _, part := range strings.Split(s, ",") {
		name, address, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || name == "" {
			return nil, fmt.Errorf("%q is not of the form name=url", part)
		}
		u, err := parseURL(address)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(members, func(m Member) bool { return m.Name == name })
		if i < 0 {
			i = len(members)
			members = append(members, Member{Name: name})
		}
		if !slices.Contains(members[i].PeerURLs, u) {
			members[i].PeerURLs = append(members[i].PeerURLs, u)
		}
	}
	return members, nil
}

func printMembers(members []Member) string {
	var parts []string
	for _, m := range members {
		for _, u := range m.PeerURLs {
			parts = append(parts, m.Name+"="+u.String())
		}
	}
	return printList(parts)
}
