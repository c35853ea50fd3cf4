package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// complainer collects one problem.
type complainer func(format string, args ...any)

// validate returns all problems of a Config whose values could be parsed.
func (c *Config) validate(maxShards int) []error {
	var list []error
	complain := func(format string, args ...any) { list = append(list, fmt.Errorf(format, args...)) }
	c.validateURLs(complain)
	c.validateCluster(complain)
	c.validateSecurity("", &c.ClientTLS, "listen-client-urls and listen-metrics-urls", slices.Concat(c.ListenClientURLs, c.ListenMetricsURLs), complain)
	c.validateSecurity("peer-", &c.PeerTLS, "listen-peer-urls", c.ListenPeerURLs, complain)
	c.validatePeerSecurity(complain)
	c.validateRaft(complain)
	c.validateLimits(maxShards, complain)
	c.validateTexts(complain)
	return list
}

func (c *Config) validateRaft(complain complainer) {
	switch {
	case c.Heartbeat <= 0:
		complain("heartbeat-interval must be above 0 ms")
	case c.ElectionTimeout < 5*c.Heartbeat:
		complain("election-timeout (%v) must be at least 5 times heartbeat-interval (%v)", c.ElectionTimeout, c.Heartbeat)
	}
	if c.ElectionTimeout > electionLimit {
		complain("election-timeout (%v) must be at most %v", c.ElectionTimeout, electionLimit)
	}
}

func (h *NameHistory) validate(complain complainer) {
	if h.Events < 0 || h.Events > eventHistoryLimit {
		complain("event-history-per-prefix (%d) must be between 0 and %d", h.Events, eventHistoryLimit)
	}
	if h.Names < 1 || h.Names > nameHistoryLimit {
		complain("event-history-prefixes (%d) must be between 1 and %d", h.Names, nameHistoryLimit)
	}
	if h.Bytes < eventHistoryFloor || h.Total < h.Bytes {
		complain("event-history-per-prefix-bytes (%s) must be at least %s, and at most event-history-prefixes-bytes (%s)", printSize(h.Bytes), printSize(eventHistoryFloor), printSize(h.Total))
	}
	if h.Age != 0 && h.Age < nameHistoryAge {
		complain("event-history-per-prefix-age (%v) must be 0 or at least %v", h.Age, nameHistoryAge)
	}
}

func (c *Config) validateLimits(maxShards int, complain complainer) {
	if c.BumpIndex > bumpLimit {
		complain("bump-index (%d) must be at most %d", c.BumpIndex, uint64(bumpLimit))
	}
	if c.EventHistory < 1 || c.EventHistory > eventHistoryLimit {
		complain("event-history (%d) must be between 1 and %d", c.EventHistory, eventHistoryLimit)
	}
	if c.EventHistoryBytes < eventHistoryFloor {
		complain("event-history-bytes (%s) must be at least %s", printSize(c.EventHistoryBytes), printSize(eventHistoryFloor))
	}
	c.PerName.validate(complain)
	if c.Shards < 1 || c.Shards > maxShards {
		complain("shards (%d) must be between 1 and %d", c.Shards, maxShards)
	}
	if c.Shards > 1 && len(c.MirrorFrom) > 0 {
		complain("mirror-from needs a cluster of one shard, and shards is %d", c.Shards)
	}
	if (c.MirrorTLS.Cert == "") != (c.MirrorTLS.Key == "") {
		complain("of mirror-cert-file and mirror-key-file, only one is given")
	}
	if c.ReadTimeout <= 0 || c.IdleTimeout <= 0 {
		complain("read-timeout (%v) and idle-timeout (%v) must be more than 0", c.ReadTimeout, c.IdleTimeout)
	}
	if c.MaxHeaderBytes < headerFloor || c.MaxHeaderBytes > headerLimit {
		complain("max-header-bytes (%s) must be between %s and %s", printSize(int64(c.MaxHeaderBytes)), printSize(headerFloor), printSize(headerLimit))
	}
	if c.MaxRequestBytes < 1 || c.MaxRequestBytes > maxRequestLimit {
		complain("max-request-bytes (%s) must be between 1 and %s", printSize(int64(c.MaxRequestBytes)), printSize(maxRequestLimit))
	}
	if c.CacheSize < cacheFloor {
		complain("cache-size (%s) must be at least %s", printSize(c.CacheSize), printSize(cacheFloor))
	}
	if c.TimerSlack > slackLimit {
		complain("timer-slack (%v) must be at most %v", c.TimerSlack, slackLimit)
	}
	if c.EnablePprof && c.Given("listen-metrics-urls") && len(c.ListenMetricsURLs) == 0 {
		complain("enable-pprof needs the operations port, and listen-metrics-urls is off")
	}
}

func (c *Config) validateTexts(complain complainer) {
	for _, s := range settings() {
		if strings.ContainsRune(s.print(c), 0) {
			complain("%s must not contain a zero byte", s.flag)
		}
	}
	if !utf8.ValidString(c.Name) {
		complain("name (%q) must be UTF-8", c.Name)
	}
	if strings.ContainsFunc(c.Name, unicode.IsControl) {
		complain("name (%q) must not contain control characters", c.Name)
	}
	if c.Name == "" || strings.TrimSpace(c.Name) != c.Name || strings.ContainsAny(c.Name, ",=") {
		complain("name (%q) must not contain a comma or an equals sign, or begin or end with a space", c.Name)
	}
	if !utf8.ValidString(c.InitialClusterToken) {
		complain("initial-cluster-token (%q) must be UTF-8", c.InitialClusterToken)
	}
}

func (c *Config) validateURLs(complain complainer) {
	type use struct {
		flag string
		url  url.URL
	}
	var uses []use
	listen := func(flag string, urls []url.URL) {
		for _, u := range urls {
			if host := u.Hostname(); host != "localhost" && !isIP(host) {
				complain("%s: %q must name an IP address or localhost", flag, u.String())
			}
			for _, other := range uses {
				if flag == "listen-client-urls" && other.flag == flag && twins(u, other.url) {
					continue // the first byte of a connection tells which one is meant
				}
				if overlap(u, other.url) {
					complain("%s of %s and %s of %s can't both be listened on; give each a port of its own",
						u.String(), flag, other.url.String(), other.flag)
				}
			}
			uses = append(uses, use{flag, u})
		}
	}
	listen("listen-client-urls", c.ListenClientURLs)
	listen("listen-peer-urls", c.ListenPeerURLs)
	listen("listen-metrics-urls", c.ListenMetricsURLs)

	// As with etcd, a wildcard that is set is accepted; a derived one is reported, as there is
	// no host name to replace it.
	if !c.Given("advertise-client-urls") {
		reachable(complain, "advertise-client-urls", c.AdvertiseClientURLs)
	}
	if !c.Given("initial-advertise-peer-urls") && !c.Given("initial-cluster") {
		reachable(complain, "initial-advertise-peer-urls", c.InitialAdvertisePeerURLs)
	}
}

func reachable(complain complainer, what string, urls []url.URL) {
	for _, u := range urls {
		if isWildcard(u) {
			complain("%s: %q can't be reached from elsewhere; give it explicitly", what, u.String())
		}
	}
}

// isIP reports whether host is an IP address, possibly with an IPv6 zone.
func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func (c *Config) validateCluster(complain complainer) {
	own := c.founding(c.Name)
	if own == nil {
		complain("initial-cluster has no member named %q, as this one is", c.Name)
	} else if !sameURLs(own, c.InitialAdvertisePeerURLs) {
		complain("initial-cluster gives %q the peer URLs %s, but initial-advertise-peer-urls is %s; they must be the same, literally",
			c.Name, printURLs(own), printURLs(c.InitialAdvertisePeerURLs))
	}
	// The reverse is allowed: a proxy may do TLS for this member.
	if plain := slices.IndexFunc(c.InitialAdvertisePeerURLs, isPlain); plain >= 0 && !slices.ContainsFunc(c.ListenPeerURLs, isPlain) {
		complain("%s is advertised to other members, but listen-peer-urls (%s) is https", c.InitialAdvertisePeerURLs[plain].String(), printURLs(c.ListenPeerURLs))
	}
	owners := map[string]string{}
	for _, m := range c.InitialCluster {
		for _, u := range m.PeerURLs {
			if owner, taken := owners[canonicalHost(u)]; taken && owner != m.Name {
				complain("initial-cluster gives %s to %q and to %q", canonicalHost(u), owner, m.Name)
			}
			owners[canonicalHost(u)] = m.Name
		}
		if len(c.InitialCluster) > 1 {
			reachable(complain, "initial-cluster: member "+m.Name, m.PeerURLs)
		}
	}
}
