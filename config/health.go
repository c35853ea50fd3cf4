package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// HealthURL is where copse health asks: the endpoint if one is given, otherwise
// the operations port if the settings name one, otherwise the client port. The
// default operations port may belong to another server of the same machine.
func (c *Config) HealthURL() *url.URL {
	if c.Options.Endpoint != "" {
		u, err := url.Parse(c.Options.Endpoint)
		if err != nil {
			panic(err) // parseEndpoint has accepted it
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/health"
		}
		return u
	}
	urls, path := c.ListenClientURLs, "/health"
	if c.Given("listen-metrics-urls") && len(c.ListenMetricsURLs) > 0 {
		urls, path = c.ListenMetricsURLs, "/readyz"
	}
	u := urls[max(0, slices.IndexFunc(urls, func(u url.URL) bool { return u.Scheme == "http" }))]
	u.Path = path
	// A server listens on a wildcard, but clients need an address.
	switch ip, err := netip.ParseAddr(u.Hostname()); {
	case err != nil || !ip.IsUnspecified():
	case ip.Is4():
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	default:
		u.Host = net.JoinHostPort("::1", u.Port())
	}
	return &u
}
