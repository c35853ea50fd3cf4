package peerlink

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// address is where a member listens.
type address struct {
	tls      bool
	host     string // a name, or an address without brackets
	hostport string
}

// parseURL parses a peer URL.
func parseURL(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, fmt.Errorf("peer URL %q: %w", text, err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return address{}, fmt.Errorf("peer URL %q: the scheme must be http or https", text)
	case u.User != nil, u.RawQuery != "", u.Fragment != "", u.Path != "" && u.Path != "/":
		return address{}, fmt.Errorf("peer URL %q: it must have a host and a port, and nothing else", text)
	case !dialable(u.Host):
		return address{}, fmt.Errorf("peer URL %q: it must have a host and a port", text)
	}
	return address{tls: u.Scheme == "https", host: u.Hostname(), hostport: u.Host}, nil
}

// parseListen parses an address to listen on: a peer URL, or host:port. The port may
// be 0, and the host empty.
func parseListen(text string, tls bool) (address, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		rest = text
	} else if tls = scheme == "https"; !tls && scheme != "http" {
		return address{}, fmt.Errorf("listen address %q: the scheme must be http or https", text)
	}
	rest = strings.TrimSuffix(rest, "/")
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return address{}, fmt.Errorf("listen address %q: %w", text, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return address{}, fmt.Errorf("listen address %q: it must have a port", text)
	}
	return address{tls: tls, host: host, hostport: rest}, nil
}

// dialable reports whether s is host:port and could be dialled.
func dialable(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		switch {
		case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '-', r == '.', r == '_':
			return false
		}
		return true
	})
}

// TargetOf is a member's name for dragonboat; memberOf parses it.
func TargetOf(member uint64) string { return strconv.FormatUint(member, 16) }

func memberOf(target string) (uint64, error) {
	member, err := strconv.ParseUint(target, 16, 64)
	if err != nil || member == 0 {
		return 0, fmt.Errorf("%q is not a member's id", target)
	}
	return member, nil
}

// uuidPrefix begins every MemberUUID: "copse-me", for member.
const uuidPrefix = "636f7073-652d-6d65-"

// MemberUUID returns the member's id in the form of a UUID, as dragonboat wants its
// targets.
func MemberUUID(id uint64) string {
	return fmt.Sprintf("%s%04x-%012x", uuidPrefix, id>>48, id&(1<<48-1))
}
