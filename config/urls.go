package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"copse/config/cli"
)

// errUser doesn't quote the URL, which may contain a password.
var errUser = errors.New("a URL must not contain a user or a password (the part before an @)")

// parseURLs parses a list and drops duplicates.
func parseURLs(s string) ([]url.URL, error) {
	if strings.Contains(s, "@") {
		return nil, errUser
	}
	var list []url.URL
	var complaints []error
	for _, part := range strings.Split(s, ",") {
		u, err := parseURL(strings.TrimSpace(part))
		switch {
		case err != nil:
			complaints = append(complaints, err)
		case !slices.Contains(list, u):
			list = append(list, u)
		}
	}
	return list, errors.Join(complaints...)
}

// parseURL accepts what etcd accepts: a scheme, a host and a port, nothing else.
func parseURL(s string) (url.URL, error) {
	if strings.Contains(s, "@") {
		return url.URL{}, errUser
	}
	u, err := url.Parse(s)
	if err != nil {
		return url.URL{}, fmt.Errorf("%q is not a URL such as http://127.0.0.1:2379", s)
	}
	switch u.Scheme {
	case "http", "https":
	case "unix", "unixs":
		return url.URL{}, fmt.Errorf("%q: unix sockets are not served", s)
	default:
		return url.URL{}, fmt.Errorf("%q must begin with http:// or https://", s)
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

// switchedOff is an empty list of URLs, where an unset one would mean the default.
const switchedOff = "off"

func parseSwitchedURLs(s string) ([]url.URL, error) {
	if s == "" || s == switchedOff {
		return nil, nil
	}
	return parseURLs(s)
}

func printSwitchedURLs(list []url.URL) string {
	if len(list) == 0 {
		return switchedOff
	}
	return printURLs(list)
}

// parseMembers parses name=url,name=url; names may repeat.
func parseMembers(s string) ([]Member, error) {
	var members []Member
	var complaints []error
	for _, part := range strings.Split(s, ",") {
		name, address, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || name == "" {
			if part = strconv.Quote(part); strings.Contains(s, "@") {
				part = cli.Quote(s)
			}
			complaints = append(complaints, fmt.Errorf("%s is not of the form name=url", part))
			continue
		}
		u, err := parseURL(address)
		if err != nil {
			complaints = append(complaints, err)
			continue
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
	return members, errors.Join(complaints...)
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

// sameURLs compares two sets.
func sameURLs(a, b []url.URL) bool {
	return slices.Equal(canonicalURLs(a), canonicalURLs(b))
}

func canonicalURLs(urls []url.URL) []string {
	var texts []string
	for _, u := range urls {
		texts = append(texts, u.Scheme+"://"+canonicalHost(u))
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// canonicalHost is a URL's host and port in a form that can be compared. localhost equals
// 127.0.0.1, as for etcd, which resolves names first; other names are not resolved.
func canonicalHost(u url.URL) string {
	host := strings.ToLower(u.Hostname())
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		port = strconv.FormatUint(n, 10)
	}
	return net.JoinHostPort(host, port)
}

// isWildcard reports whether a URL stands for all addresses of the machine.
func isWildcard(u url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsUnspecified()
}

// isLoopback reports whether only this machine reaches a URL.
func isLoopback(u url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || err == nil && ip.IsLoopback()
}

func isPlain(u url.URL) bool { return u.Scheme == "http" }

// overlap reports whether two URLs can't be listened on together. On Linux an IPv6 wildcard
// includes IPv4.
func overlap(a, b url.URL) bool {
	if a.Port() != b.Port() || a.Port() == "0" {
		return false
	}
	return canonicalHost(a) == canonicalHost(b) || covers(a, b) || covers(b, a)
}

// twins reports whether two URLs are http and https on one address.
func twins(a, b url.URL) bool { return a.Host == b.Host && a.Scheme != b.Scheme }

func covers(wide, narrow url.URL) bool {
	if !isWildcard(wide) {
		return false
	}
	ip, err := netip.ParseAddr(wide.Hostname())
	other, _ := netip.ParseAddrPort(canonicalHost(narrow))
	return err == nil && (ip.Is6() || other.Addr().Is4())
}
