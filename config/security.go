package config

import (
	"net/url"
	"slices"
	"strings"
)

// CertificateNames reports whether the name in a client's certificate says who the client
// is. As with etcd, authorities alone make certificates required and no more.
func (c *Config) CertificateNames() bool {
	return c.ClientTLS.ClientAuth && c.Given("client-cert-auth")
}

const selfSignedLimit = 100 // years

// validateSecurity checks the settings of one kind of port against its URLs.
func (c *Config) validateSecurity(prefix string, t *TLS, listens string, urls []url.URL, complain complainer) {
	secure := slices.IndexFunc(urls, func(u url.URL) bool { return !isPlain(u) })
	given := c.securityGiven(prefix)
	switch {
	case t.Cert != "" && t.Key == "":
		complain("%scert-file is given without %skey-file", prefix, prefix)
	case t.Cert == "" && t.Key != "":
		complain("%skey-file is given without %scert-file", prefix, prefix)
	case secure >= 0 && t.Cert == "" && !t.Auto && t.Secret == "":
		ways := ""
		if prefix == "peer-" {
			ways = "cluster-secret-file, or "
		}
		complain("%s can't be served without %s%scert-file and %skey-file, or %sauto-tls", urls[secure].String(), ways, prefix, prefix, prefix)
	case secure < 0 && len(given) > 0:
		complain("%s: no URL of %s (%s) is https, so the traffic would not be encrypted", strings.Join(given, ", "), listens, printURLs(urls))
	}
	if t.ClientAuth && t.CA == "" && t.Secret == "" {
		complain("%sclient-cert-auth needs %strusted-ca-file", prefix, prefix)
	}
	side := sideOf(prefix)
	if (t.CRL != "" || t.AllowedCN != "" || t.AllowedHostname != "") && t.CA == "" {
		complain("%scrl-file, %scert-allowed-cn and %scert-allowed-hostname need %strusted-ca-file, without which nobody shows a certificate", side, side, side, prefix)
	}
	if t.AllowedCN != "" && t.AllowedHostname != "" {
		complain("%scert-allowed-cn and %scert-allowed-hostname exclude each other, as with etcd", side, side)
	}
}

// validatePeerSecurity: members know each other by a secret, or by their certificates.
func (c *Config) validatePeerSecurity(complain complainer) {
	if c.SelfSignedYears < 1 || c.SelfSignedYears > selfSignedLimit {
		complain("self-signed-cert-validity (%d) must be between 1 and %d years", c.SelfSignedYears, selfSignedLimit)
	}
	way := "cluster-secret-file"
	if c.PeerTLS.Secret == "" {
		way = "peer-auto-tls"
	}
	if c.PeerTLS.Secret == "" && (!c.PeerTLS.Auto || c.PeerTLS.Cert != "") {
		return
	}
	others := slices.DeleteFunc(c.securityGiven("peer-"), func(flag string) bool {
		return flag == "cluster-secret-file" || flag == "peer-auto-tls" || flag == "peer-client-cert-auth"
	})
	if len(others) > 0 {
		complain("%s would have no effect beside %s: leave one of them out", strings.Join(others, ", "), way)
	}
}

// sideOf is what begins the names of those flags that have a side for clients too.
func sideOf(prefix string) string {
	if prefix == "" {
		return "client-"
	}
	return prefix
}

// securityGiven are the TLS settings of one kind of port that are set, and not to false.
func (c *Config) securityGiven(prefix string) (flags []string) {
	list := securitySettings(prefix, "", func(c *Config) *TLS { return &c.ClientTLS })
	if prefix != "" {
		list = peerSecuritySettings()
	}
	for _, s := range list {
		if text := s.print(c); c.Given(s.flag) && text != "false" && s.flag != "self-signed-cert-validity" {
			flags = append(flags, s.flag)
		}
	}
	return flags
}
