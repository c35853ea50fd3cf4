package config

import (
	"net/url"
	"slices"
)

// derivePage turns the web page on by default where it lets nobody in who can't reach the keys
// already: on loopback, unless clients have to show certificates, which the operations port there
// doesn't ask for.
func (c *Config) derivePage(hostname string, warn func(string, ...any)) {
	c.PortHosts = names(hostname, c.ListenMetricsURLs, c.ListenClientURLs, c.AdvertiseClientURLs)
	operations := c.UIPort == portOperations
	if c.UI == "" {
		c.UI = "read"
		if operations && (c.ClientTLS.ClientAuth || slices.ContainsFunc(c.ListenMetricsURLs, func(u url.URL) bool { return !isLoopback(u) })) {
			c.UI = "off"
		}
		return
	}
	if c.UI == "off" || !operations {
		return
	}
	for _, u := range c.ListenMetricsURLs {
		switch {
		case isPlain(u) && c.ClientTLS.ClientAuth:
			warn("%s of listen-metrics-urls asks for no certificate: with ui=%s whoever reaches it may %s keys without one, while auth is off", u.String(), c.UI, c.UI)
		case !isLoopback(u):
			warn("whoever reaches %s of listen-metrics-urls may %s all keys while auth is off, as ui=%s", u.String(), c.UI, c.UI)
		}
	}
}

// PageOn reports whether the web page is on the port, operations or clients.
func (c *Config) PageOn(port string) bool { return c.UI != "off" && c.UIPort == port }
