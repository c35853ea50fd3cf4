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
		u := c.endpoint()
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/health"
		}
		return u
	}
	urls, path := c.ListenClientURLs, "/health"
	if c.Given("listen-metrics-urls") && len(c.ListenMetricsURLs) > 0 {
		urls, path = c.ListenMetricsURLs, "/readyz"
	}
	u := nearby(urls[max(0, slices.IndexFunc(urls, isPlain))])
	u.Path = path
	return &u
}

// AuthInitURL is the server to which copse auth init sends a password: the endpoint if one is
// given, otherwise a client URL. Of these it prefers loopback without TLS, as few certificates name
// 127.0.0.1, and then TLS.
func (c *Config) AuthInitURL() *url.URL {
	if c.Options.Endpoint != "" {
		return c.endpoint()
	}
	var urls []url.URL
	for _, u := range c.ListenClientURLs {
		urls = append(urls, nearby(u))
	}
	i := slices.IndexFunc(urls, func(u url.URL) bool { return isPlain(u) && isLoopback(u) })
	if i < 0 {
		i = max(0, slices.IndexFunc(urls, func(u url.URL) bool { return !isPlain(u) }))
	}
	return &urls[i]
}

func (c *Config) endpoint() *url.URL {
	u, err := url.Parse(c.Options.Endpoint)
	if err != nil {
		panic(err) // parseEndpoint has accepted it
	}
	return u
}

// nearby is where a client on this machine finds a server that listens on u, which may
// be a wildcard.
func nearby(u url.URL) url.URL {
	switch ip, err := netip.ParseAddr(u.Hostname()); {
	case err != nil || !ip.IsUnspecified():
	case ip.Is4():
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	default:
		u.Host = net.JoinHostPort("::1", u.Port())
	}
	return u
}
