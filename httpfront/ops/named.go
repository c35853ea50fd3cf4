package ops

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Named keeps requests from next that call the server by a name that isn't its own:
// otherwise a page of another site, whose name is made to mean this server's address, could
// read what is here. An address is fine, which no other site can have as its name, and so are
// localhost and hosts.
//
// What shows keys and values is behind it: the web page, and profiles. Probes and metrics
// show none, and are asked for by whatever name a load balancer or Prometheus has for a member.
func Named(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		_, err := netip.ParseAddr(host)
		if err != nil && host != "localhost" && !slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			http.Error(w, "this server isn't known by this name: use the address, or set --advertise-client-urls to the name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
