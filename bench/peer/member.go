package peer

import (
	"fmt"
	"syscall"
)

// Place is where a member of a cluster listens, and whom it finds there. What
// is left empty makes it a cluster of its own.
type Place struct {
	Name      string
	Address   string // the client's host:port
	PeerURL   string // where it listens for its peers,
	Advertise string // and what it tells them
	Cluster   string // name=URL,name=URL
	State     string // new or existing
	Token     string
}

func (s *Server) settle(p Place) {
	if p.Advertise == "" {
		p.Advertise = p.PeerURL
	}
	if p.Cluster == "" {
		p.Cluster = p.Name + "=" + p.Advertise
	}
	if p.State == "" {
		p.State = "new"
	}
	if p.Token == "" {
		p.Token = "etcd-cluster"
	}
	s.place = p
	s.Name, s.Address, s.URL, s.PeerURL = p.Name, p.Address, "http://"+p.Address, p.PeerURL
}

// Prepare returns a member of a cluster that has not been started yet:
// Relaunch starts it, WaitReady waits until its cluster serves.
func Prepare(kind Kind, opts Options, place Place) (*Server, error) {
	binary, err := Binary(kind)
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, binary: binary, opts: opts}
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	s.settle(place)
	return s, nil
}

// Advertise is the URL that the member's peers know.
func (s *Server) Advertise() string { return s.place.Advertise }

// Join changes what the next start says of the cluster.
func (s *Server) Join(cluster, state string) { s.place.Cluster, s.place.State = cluster, state }

// Pause stops the process in its tracks, until Resume.
func (s *Server) Pause() error { return s.tell(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() error { return s.tell(syscall.SIGCONT) }

func (s *Server) tell(sig syscall.Signal) error {
	if err := s.proc.signal(sig); err != nil {
		return fmt.Errorf("%v to %s: %w", sig, s.Name, err)
	}
	return nil
}
