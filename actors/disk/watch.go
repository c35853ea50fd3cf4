package disk

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"copse/actors/loop"
	"copse/statemachine/metric"
)

const (
	// lookEvery is the time between two looks at the free space. There is one more
	// after every write that may have used the last of it.
	lookEvery = time.Second
	// spaceGrain is how many bytes may be written between two looks at least.
	spaceGrain = 16 << 20
	// writeCost is how many bytes on disk one byte of a command may take: it is
	// written to the raft log and to the store, each of which writes it to its own log
	// and to a table, and the event window holds it once more, with what it replaced.
	writeCost = 8
	// spendStep is how many bytes of that one core may count before all know of them.
	spendStep = 64 << 10
	// probeEvery is how many looks there are to one probe.
	probeEvery = 5
	// StuckLimit bounds how long a sync, or the applying of what raft delivers at once,
	// may take before the member is reported dead. A disk under heavy load takes
	// seconds for a sync; one that takes half a minute doesn't recover.
	StuckLimit = 30 * time.Second
)

// Options configure a Watch.
type Options struct {
	Dir     string // on the file system to watch; the probe's file is put there
	Reserve uint64 // bytes that have to stay free for the store to grow; 0: none
	Logger  *slog.Logger
}

// Watch is the actor that watches a disk. It refuses what would make the store grow
// if less than the reserve is free: raft log and store need some space even for
// removals, and dragonboat can't go on when the disk is full. A sync that doesn't
// return shows that the disk stands still, whether there is a quorum or not.
type Watch struct {
	// Fixed after NewWatch.
	o      Options
	device Device
	life   loop.Life
	epoch  time.Time // zero of a monotonic clock

	// Atomic.
	free, size atomic.Uint64
	full       atomic.Bool
	left       atomic.Int64                  // bytes that may be written before the next look
	spent      *metric.Striped[atomic.Int64] // bytes that left doesn't know of yet
	low        loop.Bell                     // rings when left is used up
	probes     probes

	unknown bool // the last look failed; owned by Run, and by NewWatch before
}

// probes are the measurements of the probes.
type probes struct {
	since  atomic.Int64 // when the present one began, since the Watch's epoch; 0: there is none
	failed atomic.Uint64
	syncs  *metric.Histogram
	again  bool // the last one failed; owned by Run
}

// NewWatch returns a Watch of the disk that holds o.Dir. It has had its first look
// already, so that a member that starts on a full disk doesn't fill it further.
func NewWatch(o Options) *Watch { return NewWatchOf(&directory{path: o.Dir}, o) }

// NewWatchOf is NewWatch for any device.
func NewWatchOf(device Device, o Options) *Watch {
	w := &Watch{o: o, device: device, life: loop.NewLife(), epoch: time.Now(), spent: metric.NewStriped[atomic.Int64](nil), low: loop.NewBell()}
	w.probes.syncs = metric.NewDurations()
	w.look()
	return w
}

// Run is the actor's loop. A sync can't be interrupted, so while the disk stands still
// Run does too, and Stop waits for it. The member's stop has to wait for the raft log
// and the stores anyway.
func (w *Watch) Run() error {
	if !w.life.Begin() {
		return nil
	}
	defer w.life.End()
	defer w.device.Close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	w.probe()
	for n := 1; ; {
		select {
		case <-tick.C:
			w.look()
			if n++; n%probeEvery == 0 {
				w.probe()
			}
		case <-w.low:
			w.look()
		case <-w.life.Stopping():
			return nil
		}
	}
}

// Stop ends the loop and waits for it.
func (w *Watch) Stop() { w.life.Halt() }

// look notes how much is free. After a refusal, writes are admitted again only when a
// quarter more than the reserve is free, so that the state doesn't flap.
func (w *Watch) look() {
	free, size, err := w.device.Space()
	if err != nil {
		if !w.unknown {
			w.o.Logger.Warn("the free space is unknown", "component", "disk", "err", err)
		}
		w.unknown = true
		return // the last known value stays
	}
	w.unknown = false
	w.free.Store(free)
	w.size.Store(size)
	w.left.Store(max(spaceGrain, int64(free-min(free, w.o.Reserve))))
	switch {
	case !w.full.Load() && free < w.o.Reserve:
		w.full.Store(true)
		w.o.Logger.Error("less is free than the disk reserve: writes that grow the store are refused until there is space", "component", "disk", "free_b", free, "reserve_b", w.o.Reserve)
	case w.full.Load() && free >= w.o.Reserve+w.o.Reserve/4:
		w.full.Store(false)
		w.o.Logger.Info("there is space again: writes are served", "component", "disk", "free_b", free, "reserve_b", w.o.Reserve)
	}
}

// probe times one sync.
func (w *Watch) probe() {
	began := max(1, int64(time.Since(w.epoch)))
	w.probes.since.Store(began)
	err := w.device.Probe()
	w.probes.since.Store(0)
	if err == nil {
		w.probes.syncs.Observe(int64(time.Since(w.epoch)) - began)
		w.probes.again = false
		return
	}
	w.probes.failed.Add(1)
	if !w.probes.again {
		w.o.Logger.Warn("the test write to the disk failed", "component", "disk", "err", err)
	}
	w.probes.again = true
}

// Admit reports whether the store may grow by a command of size bytes. It never
// blocks: if a write may use the last of the space, it makes the loop look, for the
// benefit of later writes. A nil Watch admits everything.
func (w *Watch) Admit(size int) bool {
	if w == nil || w.o.Reserve == 0 {
		return true
	}
	if w.full.Load() {
		return false
	}
	spent := w.spent.Take()
	if spent.Add(writeCost*int64(size)) >= spendStep {
		if w.left.Add(-spent.Swap(0)) < 0 {
			w.low.Ring()
		}
	}
	w.spent.Give(spent)
	return true
}

// CheckReserve returns an error while less than the reserve is free.
func (w *Watch) CheckReserve() error {
	if !w.full.Load() {
		return nil
	}
	return fmt.Errorf("%d MiB of %s are free, the reserve is %d MiB", w.free.Load()>>20, w.o.Dir, w.o.Reserve>>20)
}

// CheckAlive returns an error while a sync has been running for too long.
func (w *Watch) CheckAlive() error {
	since := w.probes.since.Load()
	if since == 0 {
		return nil
	}
	if took := time.Since(w.epoch) - time.Duration(since); took > StuckLimit {
		return fmt.Errorf("a sync of one block in %s has taken %v so far", w.o.Dir, took.Round(time.Second))
	}
	return nil
}

// WriteMetrics writes what is known about the disk.
func (w *Watch) WriteMetrics(to *metric.Writer) {
	to.Gauge("copse_disk_free_bytes", "Free space for the data directory.", float64(w.free.Load()))
	to.Gauge("copse_disk_size_bytes", "Size of the data directory's file system.", float64(w.size.Load()))
	to.Gauge("copse_disk_reserve_bytes", "Space that has to stay free for the store to grow.", float64(w.o.Reserve))
	to.Family("copse_disk_reserve_breached", metric.GaugeKind, "Whether less is free than the reserve, so that writes are refused.")
	to.Bool(w.full.Load())
	to.Family("copse_fsync_duration_seconds", metric.HistogramKind, "Syncs of one block in the data directory, made every few seconds whether anything is written or not.")
	to.Histogram(w.probes.syncs)
	to.Counter("copse_fsync_failed_total", "Syncs of that block that failed.", w.probes.failed.Load())
}
