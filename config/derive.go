package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"
)

// derive fills in what follows from other settings, and returns warnings.
func (c *Config) derive(hostname string) []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if !c.Given("data-dir") {
		c.DataDir = c.Name + ".copse"
	}
	if !c.Given("advertise-client-urls") {
		c.AdvertiseClientURLs = advertise(c.ListenClientURLs, hostname)
	}
	if !c.Given("initial-advertise-peer-urls") {
		c.InitialAdvertisePeerURLs = c.founding(c.Name)
		if c.InitialAdvertisePeerURLs == nil {
			c.InitialAdvertisePeerURLs = advertise(c.ListenPeerURLs, hostname)
		}
	}
	if !c.Given("initial-cluster") {
		c.InitialCluster = []Member{{Name: c.Name, PeerURLs: c.InitialAdvertisePeerURLs}}
	}
	if c.RequestTimeout == 0 { // etcd's
		c.RequestTimeout = 5*time.Second + 2*c.ElectionTimeout
	}
	if c.SnapshotCount < snapshotCountFloor {
		warn("snapshot-count %d is too small, %d is used", c.SnapshotCount, snapshotCountFloor)
		c.SnapshotCount = snapshotCountFloor
	}
	c.deriveMetrics(warn)
	c.deriveSecurity("", &c.ClientTLS, warn)
	c.deriveSecurity("peer-", &c.PeerTLS, warn)
	return warnings
}

// deriveMetrics leaves the operations port out where nobody asked for it and
// its place is taken: a command line that etcd served must be served.
func (c *Config) deriveMetrics(warn func(string, ...any)) {
	if c.Given("listen-metrics-urls") {
		return
	}
	for _, u := range slices.Concat(c.ListenClientURLs, c.ListenPeerURLs) {
		if len(c.ListenMetricsURLs) > 0 && overlap(u, c.ListenMetricsURLs[0]) {
			warn("%s is in the place of the operations port, which is left out; --listen-metrics-urls gives it another", u.String())
			c.ListenMetricsURLs = nil
		}
	}
}

// deriveSecurity asks for certificates where authorities are named, as etcd 3
// does whatever client-cert-auth says: who relied on that would be open
// without it.
func (c *Config) deriveSecurity(prefix string, t *TLS, warn func(string, ...any)) {
	if t.CA == "" || t.ClientAuth {
		return
	}
	if c.Given(prefix + "client-cert-auth") {
		warn("%sclient-cert-auth is false, but %strusted-ca-file turns it on, as in etcd 3", prefix, prefix)
	}
	t.ClientAuth = true
	c.origins[prefix+"client-cert-auth"] = follows + prefix + "trusted-ca-file"
}

// advertise returns the URLs that others can reach: those listened on, with the
// host name in the place of "every address of this machine".
func advertise(listen []url.URL, hostname string) []url.URL {
	list := slices.Clone(listen)
	for i := range list {
		if isWildcard(list[i]) && hostname != "" {
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
