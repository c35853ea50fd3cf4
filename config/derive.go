package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// derive sets the defaults that follow from other settings, and returns warnings.
func (c *Config) derive(src *Sources) []string {
	hostname := src.Hostname
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if !c.Given("data-dir") {
		c.DataDir = c.Name + ".copse"
	}
	c.deriveSecretPeers()
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
	if !c.Given("cache-size") {
		c.CacheSize, c.origins["cache-size"] = src.CacheSize, ofMemory
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
	c.deriveOwn("", &c.ClientTLS, "client", names(hostname, c.ListenClientURLs, c.ListenMetricsURLs, c.AdvertiseClientURLs), warn)
	c.deriveOwn("peer-", &c.PeerTLS, "peer", names(hostname, c.ListenPeerURLs, c.InitialAdvertisePeerURLs), warn)
	c.warnOfOpenPeers(warn)
	c.derivePage(hostname, warn)
	return warnings
}

// deriveSecretPeers makes the peer URLs that nobody has chosen https if there is a secret:
// it must take one setting to use one.
func (c *Config) deriveSecretPeers() {
	const flag = "listen-peer-urls"
	if c.PeerTLS.Secret == "" || c.Given(flag) && !c.ofImage(flag) {
		return
	}
	c.ListenPeerURLs = slices.Clone(c.ListenPeerURLs)
	for i := range c.ListenPeerURLs {
		c.ListenPeerURLs[i].Scheme = "https"
	}
	c.origins[flag] = follows + "cluster-secret-file"
}

// ofImage reports whether a value is the default of a container image.
func (c *Config) ofImage(flag string) bool {
	return strings.HasPrefix(c.Origin(flag), "environment COPSE_DEFAULT_")
}

// deriveOwn says for whom a certificate of this server's own is, and where it is kept: as
// with etcd, in the data directory, under fixtures.
func (c *Config) deriveOwn(prefix string, t *TLS, side string, names []string, warn func(string, ...any)) {
	switch {
	case !t.Auto:
		return
	case t.Cert != "":
		warn("%sauto-tls has no effect: there is %scert-file", prefix, prefix)
	}
	t.Dir = filepath.Join(c.DataDir, "fixtures", side)
	t.Names = names
	t.Validity = time.Duration(c.SelfSignedYears) * 365 * 24 * time.Hour
}

// names are the hosts by which others may reach this server.
func names(hostname string, lists ...[]url.URL) []string {
	list := []string{"localhost", "127.0.0.1", "::1"}
	if hostname != "" {
		list = append(list, hostname)
	}
	for _, u := range slices.Concat(lists...) {
		if host := u.Hostname(); !isWildcard(u) && !slices.Contains(list, host) {
			list = append(list, host)
		}
	}
	return list
}

// warnOfOpenPeers: whoever reaches a peer port that asks for nothing can take part in raft.
func (c *Config) warnOfOpenPeers(warn func(string, ...any)) {
	t := &c.PeerTLS
	for _, u := range c.ListenPeerURLs {
		switch {
		case isPlain(u) && t.Secret != "":
			warn("%s of listen-peer-urls is http: whoever reaches it can act as a member, whatever cluster-secret-file says", u.String())
		case isLoopback(u):
		case isPlain(u) || t.Secret == "" && !t.ClientAuth:
			warn("whoever reaches %s of listen-peer-urls can act as a member; cluster-secret-file keeps strangers out", u.String())
		}
	}
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
