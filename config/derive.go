package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"
)

// derive sets the defaults that follow from other settings, and returns warnings.
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

// deriveMetrics disables the operations port if it isn't set and its default address is
// another port's: a command line for etcd must work.
func (c *Config) deriveMetrics(warn func(string, ...any)) {
	if c.Given("listen-metrics-urls") {
		return
	}
	for _, u := range slices.Concat(c.ListenClientURLs, c.ListenPeerURLs) {
		if len(c.ListenMetricsURLs) > 0 && overlap(u, c.ListenMetricsURLs[0]) {
			warn("%s is the default address of the operations port, which is disabled; --listen-metrics-urls sets another", u.String())
			c.ListenMetricsURLs = nil
		}
	}
}

// deriveSecurity requires client certificates if authorities are set, as etcd 3 does
// whatever client-cert-auth says: deployments that rely on that would be open otherwise.
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

// advertise returns the URLs for others to use: those listened on, with the host name in
// place of a wildcard address.
func advertise(listen []url.URL, hostname string) []url.URL {
	list := slices.Clone(listen)
	for i := range list {
		if isWildcard(list[i]) && hostname != "" {
			list[i].Host = net.JoinHostPort(hostname, list[i].Port())
		}
	}
	return list
}

// founding returns the peer URLs of a member in initial-cluster.
func (c *Config) founding(name string) []url.URL {
	for _, m := range c.InitialCluster {
		if m.Name == name {
			return m.PeerURLs
		}
	}
	return nil
}
