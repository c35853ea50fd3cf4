package mirror

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"copse/bench/cluster/faultproxy"
	"copse/bench/peer"
	"copse/config/certs/tlstest"
)

// source is the etcd that a mirror follows: clients reach its members over plain HTTP, and the mirror
// through a proxy each, perhaps by https with certificates on both sides.
type source struct {
	members []*peer.Server
	secure  []string // addresses where the mirror is served
	proxy   *faultproxy.Mesh
	urls    []string // for the mirror
	flags   []string // of the mirror
	gone    []int
}

// startSource runs an etcd of some members.
func (m *move) startSource(kind peer.Kind, members int, secure bool) {
	s := &source{proxy: faultproxy.New(m.seed, func(net.Addr) int { return members })} // the mirror comes after them
	m.source = s
	m.t.Cleanup(s.proxy.Close)
	ports, err := peer.FreePorts(rand.New(rand.NewPCG(m.seed, 7)), 4*members)
	m.must(err)
	scheme, args := "http", []string(nil)
	dir := m.t.TempDir()
	if secure {
		a := tlstest.New(m.t)
		cert, key := a.WriteFiles(dir, "source")
		ca := a.WriteCA(dir)
		scheme, args = "https", []string{"--cert-file=" + cert, "--key-file=" + key, "--client-cert-auth", "--trusted-ca-file=" + ca}
		s.flags = []string{"--mirror-trusted-ca-file=" + ca, "--mirror-cert-file=" + cert, "--mirror-key-file=" + key}
	}
	var places []peer.Place
	var cluster []string
	for i := range members {
		at := ports[4*i:]
		p := peer.Place{Name: fmt.Sprint("s", i), Address: at[0], PeerURL: "http://" + at[1], Token: "source"}
		places, cluster = append(places, p), append(cluster, p.Name+"="+p.PeerURL)
		s.secure, s.urls = append(s.secure, at[2]), append(s.urls, scheme+"://"+at[3])
		m.must(s.proxy.Add(at[3], at[2]))
	}
	for i, p := range places {
		p.Cluster = strings.Join(cluster, ",")
		m.must(os.Mkdir(filepath.Join(dir, p.Name), 0o755))
		own := slices.Concat(args, []string{"--listen-client-urls=http://" + p.Address + "," + scheme + "://" + s.secure[i]})
		member, err := peer.Prepare(kind, peer.Options{Dir: filepath.Join(dir, p.Name), Args: own}, p)
		m.must(err)
		m.t.Cleanup(func() { m.must(member.Close()) })
		s.members = append(s.members, member)
		m.must(member.Relaunch())
	}
	for _, member := range s.members {
		m.must(member.WaitReady(context.Background()))
	}
}

// cut lets nothing pass between the mirror and the source, until heal.
func (s *source) cut() {
	for i := range s.members {
		s.proxy.Set(i, len(s.members), faultproxy.Rule{Hold: true})
		s.proxy.Set(len(s.members), i, faultproxy.Rule{Hold: true})
		s.proxy.Reset(i)
	}
}

func (s *source) heal() {
	s.proxy.Heal()
	for i := range s.members {
		s.proxy.Reset(i)
	}
}

// strike restarts the only member, or takes one of several away for good.
func (s *source) strike(random *rand.Rand) error {
	if len(s.members) == 1 {
		return s.members[0].Restart()
	}
	i := random.IntN(len(s.members))
	s.members[i].Kill()
	s.gone = append(s.gone, i)
	return nil
}

// plain are the URLs for clients, of the members that are left.
func (s *source) plain() (list []string) {
	for i, member := range s.members {
		if slices.Contains(s.gone, i) {
			continue
		}
		list = append(list, member.URL)
	}
	return list
}

// stop ends all members.
func (s *source) stop() {
	for _, member := range s.members {
		member.Kill()
	}
}
