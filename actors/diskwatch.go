package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"copse/actors/loop"
	"copse/statemachine/metric"
)

const (
	// spaceEvery is how often the free space is looked at, and also after every
	// write that may have taken the last of it.
	spaceEvery = time.Second
	// spaceGrain is how many bytes are given out between two looks at least.
	spaceGrain = 16 << 20
	// writeCost is how many bytes on disk a byte of a command may come to: it is
	// written to the raft log and to the store, to the log of each and to a table
	// of each, and the event window holds it once more, with what it replaced.
	writeCost = 8
	// probeEvery is how many looks there are to one probe of the disk's sync.
	probeEvery = 5
	// probeName is the file that is written and synced again and again.
	probeName = "disk-probe"
	probeSize = 4096
	// stuckLimit is how long a sync, or the applying of what raft hands over at
	// once, may take before the member is called dead. A disk under heavy load
	// takes seconds for a sync; one that takes half a minute doesn't come back.
	stuckLimit = 30 * time.Second
)

// DiskOptions are what a DiskWatch is made with.
type DiskOptions struct {
	Dir     string // on the file system that is watched; the probe's file is put there
	Reserve uint64 // bytes that have to stay free for the store to grow; 0: none
	Logger  *slog.Logger

	// For tests; nil: the real disk.
	Space func(dir string) (free, size uint64, err error)
	Probe func() error
	Every time.Duration // between two looks; 0: a second
}

// DiskWatch is the actor that watches the disk below the data directory. It
// knows how much is free, and turns away what would make the store grow where
// that is less than the reserve; log and store need room to go on at all, since
// to the engine a full disk is the end. And it writes and syncs one block now
// and then, whether anything else is written or not: how long that takes tells of the
// disk, and a sync that doesn't return shows that the disk stands still, quorum or no
// quorum.
type DiskWatch struct {
	// Fixed after NewDiskWatch.
	o     DiskOptions
	life  loop.Life
	epoch time.Time // a monotonic clock's zero

	// Atomic.
	free, size atomic.Uint64
	full       atomic.Bool
	left       atomic.Int64 // bytes that may be given out before the next look
	low        loop.Bell    // rings when there are none
	since      atomic.Int64 // of that clock: when the probe under way began; 0: none is
	failed     atomic.Uint64
	syncs      *metric.Histogram

	// Owned by Run, and by NewDiskWatch before.
	file     *os.File // the probe's
	unknown  bool     // the last look failed
	unprobed bool     // the last probe failed
}

// NewDiskWatch returns a DiskWatch that has had its first look already, so that
// a member that is started on a full disk doesn't fill it further.
func NewDiskWatch(o DiskOptions) *DiskWatch {
	d := &DiskWatch{o: o, life: loop.NewLife(), epoch: time.Now(), low: loop.NewBell(), syncs: metric.NewDurations()}
	if d.o.Space == nil {
		d.o.Space = space
	}
	if d.o.Probe == nil {
		d.o.Probe = d.writeBlock
	}
	if d.o.Every == 0 {
		d.o.Every = spaceEvery
	}
	d.look()
	return d
}

// Run is the actor's loop. While the disk stands still, so does Run: a sync
// can't be called back. Stop waits for it then, as it has to wait for the log
// and the stores in any case.
func (d *DiskWatch) Run() error {
	if !d.life.Begin() {
		return nil
	}
	defer d.life.End()
	defer d.closeProbe()
	tick := time.NewTicker(d.o.Every)
	defer tick.Stop()
	d.probe()
	for n := 1; ; {
		select {
		case <-tick.C:
			d.look()
			if n++; n%probeEvery == 0 {
				d.probe()
			}
		case <-d.low:
			d.look()
		case <-d.life.Stopping():
			return nil
		}
	}
}

// Stop ends the loop and waits for it.
func (d *DiskWatch) Stop() { d.life.Halt() }

// look notes how much is free. What was turned away is let in again only with a
// quarter more than the reserve, so that the state doesn't flap.
func (d *DiskWatch) look() {
	free, size, err := d.o.Space(d.o.Dir)
	if err != nil {
		if !d.unknown {
			d.o.Logger.Warn("the free space is unknown", "component", "disk", "err", err)
		}
		d.unknown = true
		return // what was known stands
	}
	d.unknown = false
	d.free.Store(free)
	d.size.Store(size)
	d.left.Store(max(spaceGrain, int64(free-min(free, d.o.Reserve))))
	switch {
	case !d.full.Load() && free < d.o.Reserve:
		d.full.Store(true)
		d.o.Logger.Error("less is free than the disk reserve: writes that grow the store are refused until there is space", "component", "disk", "free_b", free, "reserve_b", d.o.Reserve)
	case d.full.Load() && free >= d.o.Reserve+d.o.Reserve/4:
		d.full.Store(false)
		d.o.Logger.Info("there is space again: writes are served", "component", "disk", "free_b", free, "reserve_b", d.o.Reserve)
	}
}

// probe measures one sync.
func (d *DiskWatch) probe() {
	began := max(1, int64(time.Since(d.epoch)))
	d.since.Store(began)
	err := d.o.Probe()
	d.since.Store(0)
	if err == nil {
		d.syncs.Observe(int64(time.Since(d.epoch)) - began)
		d.unprobed = false
		return
	}
	d.failed.Add(1)
	if !d.unprobed {
		d.o.Logger.Warn("the disk can't be probed", "component", "disk", "err", err)
	}
	d.unprobed = true
}

// writeBlock writes the probe's block over and syncs it. The file never grows,
// so neither file system nor store have anything else to do for it.
func (d *DiskWatch) writeBlock() error {
	if d.file == nil {
		f, err := os.OpenFile(filepath.Join(d.o.Dir, probeName), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		d.file = f
	}
	if _, err := d.file.WriteAt(make([]byte, probeSize), 0); err != nil {
		return err
	}
	return syscall.Fdatasync(int(d.file.Fd()))
}

func (d *DiskWatch) closeProbe() {
	if d.file != nil {
		_ = d.file.Close() // nothing in it matters
		d.file = nil
	}
}

func space(dir string) (free, size uint64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return fs.Bavail * uint64(fs.Bsize), fs.Blocks * uint64(fs.Bsize), nil
}

// errNoSpace is why a write is refused that would make the store grow.
var errNoSpace = errors.New("etcdserver: no space: less is free on the disk than --disk-reserve keeps for the server; what removes keys still works")

// Admit reports whether the store may grow by a command of size bytes. It never
// waits: a write that may take the last of the space has the disk looked at, for
// those that follow.
func (d *DiskWatch) Admit(size int) bool {
	if d == nil || d.o.Reserve == 0 {
		return true
	}
	if d.full.Load() {
		return false
	}
	if d.left.Add(-writeCost*int64(size)) < 0 {
		d.low.Ring()
	}
	return true
}

// CheckReserve says what is wrong with the free space.
func (d *DiskWatch) CheckReserve() error {
	if !d.full.Load() {
		return nil
	}
	return fmt.Errorf("%d MiB of %s are free, the reserve is %d MiB", d.free.Load()>>20, d.o.Dir, d.o.Reserve>>20)
}

// CheckAlive says whether the disk stands still.
func (d *DiskWatch) CheckAlive() error {
	since := d.since.Load()
	if since == 0 {
		return nil
	}
	if took := time.Since(d.epoch) - time.Duration(since); took > stuckLimit {
		return fmt.Errorf("a sync of one block in %s has taken %v so far", d.o.Dir, took.Round(time.Second))
	}
	return nil
}

// WriteMetrics writes what is known of the disk.
func (d *DiskWatch) WriteMetrics(w *metric.Writer) {
	w.Gauge("copse_disk_free_bytes", "Free space for the data directory.", float64(d.free.Load()))
	w.Gauge("copse_disk_size_bytes", "Size of the data directory's file system.", float64(d.size.Load()))
	w.Gauge("copse_disk_reserve_bytes", "What has to stay free for the store to grow.", float64(d.o.Reserve))
	w.Family("copse_disk_reserve_breached", metric.GaugeKind, "Whether less is free than the reserve, so that writes are refused.")
	w.Bool(d.full.Load())
	w.Family("copse_fsync_duration_seconds", metric.HistogramKind, "Syncs of one block in the data directory, tried every few seconds, whether anything is written or not.")
	w.Histogram(d.syncs)
	w.Counter("copse_fsync_failed_total", "Such syncs that failed.", d.failed.Load())
}
