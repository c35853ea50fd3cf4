package disk

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors/loop/looptest"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

// fakeDevice is a device whose answers the test sets.
type fakeDevice struct {
	mu    sync.Mutex
	free  uint64
	err   error // of Space
	looks int
	probe func() error
}

func (d *fakeDevice) Space() (free, size uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	return d.free, 1000, d.err
}

func (d *fakeDevice) Probe() error {
	if d.probe == nil {
		return nil
	}
	return d.probe()
}

func (d *fakeDevice) Close() {}

// set changes the free space, or makes Space fail.
func (d *fakeDevice) set(free uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free, d.err = free, err
}

// looked returns how often the device was checked since the last call.
func (d *fakeDevice) looked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.looks = 0 }()
	return d.looks
}

func options(reserve uint64) Options {
	return Options{Reserve: reserve, Logger: slog.New(slog.DiscardHandler)}
}

// running runs test with a running Watch of d, in a bubble.
func running(t *testing.T, d *fakeDevice, reserve uint64, test func(t *testing.T, w *Watch)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := NewWatchOf(d, options(reserve))
		ended := make(chan error, 1)
		go func() { ended <- w.Run() }()
		synctest.Wait()
		test(t, w)
		w.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestTheReserveIsHeldWithSomeSlack(t *testing.T) {
	d := &fakeDevice{free: 99}
	running(t, d, 100, func(t *testing.T, w *Watch) {
		if w.Admit(1) {
			t.Error("the first look came too late")
		}
		for _, step := range []struct {
			free uint64
			err  error
			full bool
		}{
			{100, nil, true}, {124, nil, true}, {125, nil, false}, {100, nil, false}, {99, nil, true},
			{0, errors.New("no such disk"), true}, {500, nil, false}, {0, errors.New("no such disk"), false},
		} {
			d.set(step.free, step.err)
			time.Sleep(lookEvery)
			synctest.Wait()
			if w.Admit(1) == step.full || (w.CheckReserve() != nil) != step.full {
				t.Fatalf("at %d, %v: admitted: %v, and the check says %v", step.free, step.err, w.Admit(1), w.CheckReserve())
			}
		}
	})
}

func TestNoReserveIsNeverBreached(t *testing.T) {
	if w := NewWatchOf(&fakeDevice{}, options(0)); !w.Admit(1) || w.CheckReserve() != nil {
		t.Error("full without a reserve")
	}
	if !(*Watch)(nil).Admit(1) {
		t.Error("full without a watch")
	}
}

func TestAWriteThatMayUseTheLastSpaceMakesItLook(t *testing.T) {
	const reserve, free = 1 << 30, 1<<30 + 800<<20
	d := &fakeDevice{free: free}
	running(t, d, reserve, func(t *testing.T, w *Watch) {
		d.looked()
		for range 100 {
			if !w.Admit(1 << 20) { // which may take 8 MiB
				t.Fatal("refused")
			}
		}
		synctest.Wait()
		if n := d.looked(); n > 0 {
			t.Errorf("%d looks while there is space", n)
		}
		w.Admit(spendStep / writeCost)
		synctest.Wait()
		if n := d.looked(); n != 1 {
			t.Errorf("%d looks when there may be none, want 1", n)
		}
	})
}

func TestADiskThatStandsStillIsSeen(t *testing.T) {
	answer := make(chan error)
	d := &fakeDevice{free: 1, probe: func() error { return <-answer }}
	synctest.Test(t, func(t *testing.T) {
		answer = make(chan error) // the bubble's
		w := NewWatchOf(d, options(0))
		ended := make(chan error, 1)
		go func() { ended <- w.Run() }()
		time.Sleep(StuckLimit - time.Second)
		if err := w.CheckAlive(); err != nil {
			t.Errorf("after 29 s: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := w.CheckAlive(); err == nil || !strings.Contains(err.Error(), "31s") {
			t.Errorf("after 31 s: %v", err)
		}
		answer <- nil
		synctest.Wait()
		if err := w.CheckAlive(); err != nil {
			t.Errorf("when it goes on: %v", err)
		}
		time.Sleep(10 * time.Second)
		answer <- errors.New("gone")
		synctest.Wait()
		go w.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s := scrape(t, w)
		if n, _ := s.Value("copse_fsync_duration_seconds_count"); n != 1 {
			t.Errorf("%v syncs", n)
		}
		if n, _ := s.Value("copse_fsync_failed_total"); n != 1 {
			t.Errorf("%v failed syncs", n)
		}
	})
}

func scrape(t *testing.T, w *Watch) metrictest.Scrape {
	t.Helper()
	var text metric.Writer
	w.WriteMetrics(&text)
	s, err := metrictest.Parse(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestARealDiskIsProbed(t *testing.T) {
	dir := t.TempDir()
	d := &directory{path: dir}
	w := NewWatchOf(d, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	for range 3 {
		w.probe()
	}
	d.Close()
	s := scrape(t, w)
	free, _ := s.Value("copse_disk_free_bytes")
	size, _ := s.Value("copse_disk_size_bytes")
	if free <= 0 || size < free {
		t.Errorf("%v of %v bytes are free", free, size)
	}
	if n, _ := s.Value("copse_fsync_duration_seconds_count"); n != 3 {
		t.Errorf("%v syncs", n)
	}
	if info, err := os.Stat(filepath.Join(dir, "disk-probe")); err != nil || info.Size() != probeSize {
		t.Errorf("the probe's file: %v, %v", info, err)
	}
}

func TestTheWatchStartsAndStops(t *testing.T) {
	dir := t.TempDir()
	looptest.StartStop(t, func() looptest.Actor {
		return NewWatch(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	})
}
