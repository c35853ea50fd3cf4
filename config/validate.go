package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// derive fills in what follows from other settings, and returns warnings.
func (c *Config) derive(hostname string) []string {
	var warnings []string
	if !c.given("data-dir") {
		c.DataDir = c.Name + ".copse"
	}
	if !c.given("advertise-client-urls") {
		c.AdvertiseClientURLs = advertise(c.ListenClientURLs, hostname)
	}
	if !c.given("initial-advertise-peer-urls") {
		c.InitialAdvertisePeerURLs = c.founding(c.Name)
		if c.InitialAdvertisePeerURLs == nil {
			c.InitialAdvertisePeerURLs = advertise(c.ListenPeerURLs, hostname)
		}
	}
	if !c.given("initial-cluster") {
		c.InitialCluster = []Member{{Name: c.Name, PeerURLs: c.InitialAdvertisePeerURLs}}
	}
	if c.RequestTimeout == 0 { // etcd's
		c.RequestTimeout = 5*time.Second + 2*c.ElectionTimeout
	}
	if c.SnapshotCount < snapshotCountFloor {
		warnings = append(warnings, fmt.Sprintf("snapshot-count %d is too small, %d is used", c.SnapshotCount, snapshotCountFloor))
		c.SnapshotCount = snapshotCountFloor
	}
	return warnings
}

// advertise returns the URLs that others can reach: those listened on, with the
// host name in the place of "every address of this machine".
func advertise(listen []url.URL, hostname string) []url.URL {
	list := slices.Clone(listen)
	for i := range list {
		if ip := net.ParseIP(list[i].Hostname()); ip != nil && ip.IsUnspecified() && hostname != "" {
			list[i].Host = net.JoinHostPort(hostname, list[i].Port())
		}
	}
	return list
}

// founding returns the peer URLs that initial-cluster gives a member.
func (c *Config) founding(name string) []url.URL {
	for _, m := range c.InitialCluster {
		if m.Name == name {
			return m.PeerURLs
		}
	}
	return nil
}

// validate returns every complaint about a Config whose texts could be read.
func (c *Config) validate() []error {
	var list []error
	complain := func(format string, args ...any) { list = append(list, fmt.Errorf(format, args...)) }

	c.validateURLs(complain)
	c.validateCluster(complain)

	switch {
	case c.Heartbeat <= 0:
		complain("heartbeat-interval must be above 0 ms")
	case c.ElectionTimeout < 5*c.Heartbeat:
		complain("election-timeout (%v) must be at least 5 times heartbeat-interval (%v)", c.ElectionTimeout, c.Heartbeat)
	}
	if c.ElectionTimeout > electionLimit {
		complain("election-timeout (%v) must be at most %v", c.ElectionTimeout, electionLimit)
	}
	if c.EventHistory < 1 || c.EventHistory > eventHistoryLimit {
		complain("event-history (%d) must be between 1 and %d", c.EventHistory, eventHistoryLimit)
	}
	if c.ReadTimeout <= 0 || c.IdleTimeout <= 0 {
		complain("read-timeout (%v) and idle-timeout (%v) must be more than 0", c.ReadTimeout, c.IdleTimeout)
	}
	if c.MaxHeaderBytes < headerFloor || c.MaxHeaderBytes > headerLimit {
		complain("max-header-bytes (%d) must be between %d and %d", c.MaxHeaderBytes, headerFloor, headerLimit)
	}
	if c.MaxRequestBytes < 1 || c.MaxRequestBytes > maxRequestLimit {
		complain("max-request-bytes (%d) must be between 1 and %d", c.MaxRequestBytes, maxRequestLimit)
	}
	if c.CacheSize < cacheFloor {
		complain("cache-size (%d) must be at least %d bytes", c.CacheSize, cacheFloor)
	}
	if strings.ContainsRune(c.DataDir, 0) {
		complain("data-dir must not contain a zero byte")
	}
	if !utf8.ValidString(c.Name) {
		complain("name (%q) must be UTF-8", c.Name)
	}
	if c.Name == "" || strings.TrimSpace(c.Name) != c.Name || strings.ContainsAny(c.Name, ",=") {
		complain("name (%q) must hold no comma and no equals sign, and neither begin nor end with a space: initial-cluster couldn't name it", c.Name)
	}
	if !utf8.ValidString(c.InitialClusterToken) {
		complain("initial-cluster-token (%q) must be UTF-8", c.InitialClusterToken)
	}
	return list
}

func (c *Config) validateURLs(complain func(string, ...any)) {
	listen := func(flag string, urls []url.URL) {
		for _, u := range urls {
			if host := u.Hostname(); host != "localhost" && !isIP(host) {
				complain("%s: %q must name an IP address or localhost", flag, u.String())
			}
		}
	}
	listen("listen-client-urls", c.ListenClientURLs)
	listen("listen-peer-urls", c.ListenPeerURLs)
	for _, u := range c.ListenPeerURLs {
		if u.Port() != "0" && slices.ContainsFunc(c.ListenClientURLs, func(v url.URL) bool { return u.Host == v.Host }) {
			complain("%s is listened on for clients and for peers; give each a port of its own", u.String())
		}
	}

	reachable := func(flag string, urls []url.URL) {
		for _, u := range urls {
			if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
				complain("%s: %q can't be reached from elsewhere; give it explicitly", flag, u.String())
			}
		}
	}
	// etcd lets a given wildcard pass, and so does copse: only a derived one,
	// left where there is no host name, is a mistake that nobody made.
	if !c.given("advertise-client-urls") {
		reachable("advertise-client-urls", c.AdvertiseClientURLs)
	}
	if !c.given("initial-advertise-peer-urls") && !c.given("initial-cluster") {
		reachable("initial-advertise-peer-urls", c.InitialAdvertisePeerURLs)
	}
}

// isIP reports whether host is an address, with an IPv6 zone or without.
func isIP(host string) bool {
	host, _, _ = strings.Cut(host, "%")
	return net.ParseIP(host) != nil
}

func (c *Config) validateCluster(complain func(string, ...any)) {
	if c.InitialClusterState != "new" && c.InitialClusterState != "existing" {
		complain("initial-cluster-state (%q) must be new or existing", c.InitialClusterState)
	}
	own := c.founding(c.Name)
	if own == nil {
		complain("initial-cluster has no member of this one's name, %q", c.Name)
	} else if !sameURLs(own, c.InitialAdvertisePeerURLs) {
		complain("initial-cluster gives %q the peer URLs %s, but initial-advertise-peer-urls is %s",
			c.Name, printURLs(own), printURLs(c.InitialAdvertisePeerURLs))
	}
	if n := len(c.InitialCluster); n > 1 {
		complain("initial-cluster has %d members; clusters of several members are not served yet", n)
	}
}

// sameURLs compares two sets. localhost and 127.0.0.1 are the same, as they
// are to etcd, which resolves names first.
func sameURLs(a, b []url.URL) bool {
	return slices.Equal(canonical(a), canonical(b))
}

func canonical(urls []url.URL) []string {
	var texts []string
	for _, u := range urls {
		host := strings.ToLower(u.Hostname())
		if host == "localhost" {
			host = "127.0.0.1"
		}
		texts = append(texts, u.Scheme+"://"+net.JoinHostPort(host, u.Port()))
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
