package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"copse/bench/cluster/faultproxy"
	"copse/bench/cluster/netns"
	"copse/bench/peer"
)

// Options of a fleet.
type Options struct {
	Kind       peer.Kind
	Members    int
	Spare      bool   // one more member is prepared and not started, for Add
	Namespaces bool   // in network namespaces, or else on the loopback
	Seed       uint64 // picks the ports
	Args       []string
	// SmallDisk puts the data of the last member on a disk of this many bytes,
	// which a fault can fill; 0 is none.
	SmallDisk int64
}

// Fleet is the members of one cluster.
type Fleet struct {
	Members []*Member
	Spare   *Member // nil if there is none
	opts    Options
	dir     string
	mesh    *faultproxy.Mesh // on the loopback
	net     *netns.Switch    // in namespaces
	disk    *disk
	pids    []atomic.Int64 // of the running processes; 0 is none
}

// Member is one of them. Its URL is known before it runs.
type Member struct {
	*peer.Server
	Number int
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)

	paused bool
	down   bool // it was killed and not started again
}

// places is the largest number of members at one time.
func (o *Options) places() int {
	if o.Spare {
		return o.Members + 1
	}
	return o.Members
}

// readyLimit bounds how long a whole cluster may take until it serves, on a busy
// machine.
const readyLimit = 2 * time.Minute

// Start runs a fleet and returns once all members serve.
func Start(opts Options) (*Fleet, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	f := &Fleet{opts: opts, dir: dir, pids: make([]atomic.Int64, opts.places())}
	if err := f.start(); err != nil {
		return nil, errors.Join(err, fmt.Errorf("%s", f.Logs(2000)), f.Close())
	}
	return f, nil
}

func (f *Fleet) start() error {
	if err := sweepDisks(); err != nil {
		return err
	}
	places, err := f.places()
	if err != nil {
		return err
	}
	var peers []string
	for _, p := range places[:f.opts.Members] {
		peers = append(peers, p.Name+"="+p.Advertise)
	}
	for i, p := range places {
		p.Cluster, p.Token = strings.Join(peers, ","), "test"
		if err := f.prepare(i, p); err != nil {
			return err
		}
	}
	for _, m := range f.Members {
		if err := f.launch(m); err != nil {
			return err
		}
	}
	return f.WaitReady()
}

// places says where each member listens, and builds what joins them.
func (f *Fleet) places() ([]peer.Place, error) {
	var places []peer.Place
	if f.opts.Namespaces {
		var err error
		if f.net, err = netns.New(f.opts.places()); err != nil {
			return nil, err
		}
		for i := range f.opts.places() {
			places = append(places, peer.Place{
				Name: memberName(i), Address: "127.0.0.1:2379",
				PeerURL:   fmt.Sprintf("http://%s:2380", f.net.Address(i)),
				Advertise: fmt.Sprintf("http://%s:2380", f.net.Address(i)),
			})
		}
		return places, nil
	}
	ports, err := peer.FreePorts(rand.New(rand.NewPCG(f.opts.Seed, 1)), 3*f.opts.places())
	if err != nil {
		return nil, err
	}
	f.mesh = faultproxy.New(f.opts.Seed, f.owner)
	for i := range f.opts.places() {
		client, listen, proxy := ports[3*i], ports[3*i+1], ports[3*i+2]
		if err := f.mesh.Add(proxy, listen); err != nil {
			return nil, err
		}
		places = append(places, peer.Place{Name: memberName(i), Address: client, PeerURL: "http://" + listen, Advertise: "http://" + proxy})
	}
	return places, nil
}

func memberName(i int) string { return fmt.Sprintf("m%d", i) }

func (f *Fleet) prepare(i int, place peer.Place) error {
	m := &Member{Number: i, Dial: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	opts := peer.Options{Dir: filepath.Join(f.dir, place.Name), Args: f.opts.Args}
	if f.net != nil {
		m.Dial = f.net.Dial(i)
		opts.Prefix = f.net.Prefix(i)
	}
	opts.Dial = m.Dial
	if err := os.Mkdir(opts.Dir, 0o755); err != nil {
		return err
	}
	var err error
	if m.Server, err = peer.Prepare(f.opts.Kind, opts, place); err != nil {
		return err
	}
	if i == f.opts.Members {
		m.down, f.Spare = true, m
		return nil
	}
	f.Members = append(f.Members, m)
	if f.opts.SmallDisk > 0 && i == f.opts.Members-1 {
		f.disk, err = mount(m.DataDir, f.opts.SmallDisk)
	}
	return err
}

func (f *Fleet) launch(m *Member) error {
	f.pids[m.Number].Store(0)
	if err := m.Relaunch(); err != nil {
		return err
	}
	f.pids[m.Number].Store(int64(m.PID()))
	m.down, m.paused = false, false
	return nil
}

// WaitReady starts nothing: it waits until every member serves writes.
func (f *Fleet) WaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	for _, m := range f.Members {
		if err := m.Server.WaitReady(ctx); err != nil {
			return fmt.Errorf("member %d: %w", m.Number, err)
		}
	}
	return nil
}

// all are the members and the spare one.
func (f *Fleet) all() []*Member {
	if f.Spare == nil {
		return f.Members
	}
	return append(slices.Clone(f.Members), f.Spare)
}

// Close ends everything.
func (f *Fleet) Close() error {
	for _, m := range f.all() {
		m.Kill()
	}
	if f.mesh != nil {
		f.mesh.Close()
	}
	var errs []error
	if f.net != nil {
		errs = append(errs, f.net.Close())
	}
	if f.disk != nil {
		errs = append(errs, f.disk.unmount())
		f.disk = nil
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}

// Logs returns the last bytes of each member's log.
func (f *Fleet) Logs(each int) string {
	var b strings.Builder
	for _, m := range f.all() {
		log := m.LogTail()
		fmt.Fprintf(&b, "--- %s:\n%s\n", m.Name, log[max(0, len(log)-each):])
	}
	return b.String()
}

// CopyLogs puts the members' logs into a directory.
func (f *Fleet) CopyLogs(dir string) error {
	for _, m := range f.all() {
		log, err := os.ReadFile(m.LogFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue // never started
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, m.Name+".log"), log, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
