package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// sample returns a log of a few segments, as a crash right after an acknowledged step
// leaves it, and its content with and without that step.
func sample(t *testing.T) (d *disc, acknowledged, before model) {
	t.Helper()
	d = newDisc()
	o := small()
	o.SegmentSize = 4 << 10
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	seed := seeded(11)
	draw := func(n int) int { return seed(min(n, 600)) } // small entries
	m := model{}
	for steps, last := 0, db.active; len(db.segments) < 3 || steps < 2; steps++ {
		m, _ = run(db, m, 1, draw, new([]string))
		if db.active != last {
			steps, last = 0, db.active
		}
	}
	before = m
	n, after := node(1, 7), m.clone()
	h := after.of(n)
	e := pb.Entry{Term: h.state.Term, Index: h.last() + 1, Cmd: make([]byte, 3*sectorSize)} // zeros, too
	h.entries = append(h.entries, e)
	after.settle()
	s := saveState("append", after, pb.Update{ShardID: n.ShardID, ReplicaID: n.ReplicaID, EntriesToSave: []pb.Entry{e}})
	if err := s.call(db); err != nil {
		t.Fatal(err)
	}
	return d, s.after, before
}

// reopened opens the log on disk and reports whether it is damaged or else how it differs.
func reopened(d *disc, o Options, m model) (damage *Damage, err error) {
	if _, err := load(d); errors.As(err, &damage) {
		return damage, nil
	}
	db, err := openAt(d.clone(), o)
	if errors.As(err, &damage) || err != nil {
		return damage, err
	}
	return nil, m.differs(db, true)
}

func TestSampleIsSound(t *testing.T) {
	d, m, before := sample(t)
	if damage, err := reopened(d, small(), m); damage != nil || err != nil {
		t.Error(damage, err)
	}
	if _, err := reopened(d, small(), before); err == nil {
		t.Error("the last step made no difference")
	}
}

// spare reports whether a file holds no data.
func spare(name string) bool { return strings.HasSuffix(name, spareSuffix) }

// TestEveryByteCounts changes each byte of the log, used or not.
func TestEveryByteCounts(t *testing.T) {
	d, m, _ := sample(t)
	for name, f := range d.names {
		if spare(name) {
			continue
		}
		for at := range f.data {
			old := f.data[at]
			f.data[at] ^= 1 << (at % 8)
			damage, err := reopened(d, small(), m)
			if damage == nil {
				t.Errorf("%s, byte %d: it is served, and %v", name, at, err)
			} else if damage.File != name || damage.Offset/sectorSize != int64(at/sectorSize) {
				t.Errorf("%s, byte %d: %v", name, at, damage)
			}
			f.data[at] = old
		}
	}
}

func TestEveryTailCounts(t *testing.T) {
	d, m, _ := sample(t)
	for name, f := range d.names {
		if spare(name) {
			continue
		}
		whole := f.data
		for end := range whole {
			f.data = whole[:end]
			if damage, err := reopened(d, small(), m); damage == nil || damage.File != name {
				t.Errorf("%s, cut at %d: %v, %v", name, end, damage, err)
			}
		}
		f.data = whole
	}
}

// TestEverySectorCounts erases each sector, as if it had not been written: a crash can
// cause that only in the last frame.
func TestEverySectorCounts(t *testing.T) {
	d, _, before := sample(t)
	last := slices.Max(slices.Collect(maps.Keys(withoutSpare(d))))
	disk, err := load(d.clone())
	if err != nil {
		t.Fatal(err)
	}
	torn := 0
	for name, f := range withoutSpare(d) {
		for at := 0; at < len(f.data); at += sectorSize {
			old := bytes.Clone(f.data[at : at+sectorSize])
			copy(f.data[at:], noSector[:])
			if c, _ := judge(old, disk.active.salt, int64(at/sectorSize)); c == missing && name == last {
				copy(f.data[at:], old)
				continue // it wasn't there
			}
			inLast := name == last && int64(at)/sectorSize >= disk.active.previous && int64(at)/sectorSize < disk.active.next
			damage, err := reopened(d, small(), before)
			if unused := name != last && missingIn(old); (damage == nil) != (inLast || unused) {
				t.Errorf("%s, sector at %d, in the last frame %v: %v, %v", name, at, inLast, damage, err)
			}
			if inLast {
				if torn++; err != nil {
					t.Errorf("%s, sector at %d: %v", name, at, err)
				}
			}
			copy(f.data[at:], old)
		}
	}
	if torn < 2 {
		t.Errorf("the last frame has %d sectors", torn)
	}
}

func withoutSpare(d *disc) map[string]*memFile {
	list := maps.Clone(d.names)
	maps.DeleteFunc(list, func(name string, _ *memFile) bool { return spare(name) })
	return list
}

func missingIn(sector []byte) bool { return bytes.Equal(sector, noSector[:]) }

// TestEveryFrameCounts erases each whole frame but the last, one at a time.
func TestEveryFrameCounts(t *testing.T) {
	d, m, _ := sample(t)
	one, held := oneSegment(t)
	for name, count := range map[string]int{"several segments": framesServed(t, d, m), "one segment": framesServed(t, one, held)} {
		if count > 0 {
			t.Errorf("%s: %d changes were served", name, count)
		}
	}
}

// oneSegment is a log whose frames are all in one file.
func oneSegment(t *testing.T) (*disc, model) {
	t.Helper()
	d, o := newDisc(), small()
	o.SegmentSize = 1 << 20
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := run(db, model{}, 30, seeded(2), new([]string))
	return d, m
}

func framesServed(t *testing.T, d *disc, m model) (served int) {
	t.Helper()
	for name, f := range withoutSpare(d) {
		var starts []int64
		s, err := openSegment(d, mustNumber(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.scan(func([]byte, uint32) error { starts = append(starts, s.previous); return nil }); err != nil {
			t.Fatal(err)
		}
		starts = append(starts, s.next)
		for i := range len(starts) - 2 {
			old := bytes.Clone(f.data)
			clear(f.data[starts[i]*sectorSize : starts[i+1]*sectorSize])
			if damage, _ := reopened(d, small(), m); damage == nil {
				served++
			}
			copy(f.data, old)
		}
	}
	return served
}

func mustNumber(name string) (n uint64) {
	if _, err := fmt.Sscanf(name, "%x", &n); err != nil {
		panic(err)
	}
	return n
}

func TestEveryFileCounts(t *testing.T) {
	d, m, _ := sample(t)
	for name := range withoutSpare(d) {
		less := d.clone()
		delete(less.names, name)
		o := small()
		o.Expected = true
		damage, err := reopened(less, o, m)
		if damage == nil {
			t.Errorf("without %s: %v", name, err)
		}
	}
	o := small()
	o.Expected = true
	if damage, err := reopened(newDisc(), o, m); damage == nil {
		t.Errorf("without any: %v", err)
	}
}

// TestOldFilesDontFit replaces each segment with an older version of itself, and with
// another segment.
func TestOldFilesDontFit(t *testing.T) {
	o := small()
	o.SegmentSize = 8 << 10
	d := newDisc()
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	draw, m := seeded(3), model{}
	for len(db.segments) < 3 {
		m, _ = run(db, m, 1, draw, new([]string))
	}
	old := d.clone()
	for number := db.active.number; db.active.number == number; {
		m, _ = run(db, m, 1, draw, new([]string))
	}
	for name, f := range withoutSpare(old) {
		now := d.names[name]
		if now == nil || bytes.Equal(now.data, f.data) {
			continue
		}
		mixed := d.clone()
		mixed.names[name] = f
		if damage, err := reopened(mixed, o, m); damage == nil {
			t.Errorf("%s of before: %v", name, err)
		}
	}
	for one := range withoutSpare(d) {
		for other, f := range withoutSpare(d) {
			mixed := d.clone()
			mixed.names[one] = f
			if damage, err := reopened(mixed, o, m); one != other && damage == nil {
				t.Errorf("%s in place of %s: %v", other, one, err)
			}
		}
	}
}

// TestDamageIsNoticedWhileRunning changes a byte under an open log.
func TestDamageIsNoticedWhileRunning(t *testing.T) {
	d := newDisc()
	o := small()
	o.Memory = 1
	var fatal error
	o.Fatal = func(err error) { fatal = err; runtime.Goexit() }
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := save(update(1, pb.State{Term: 1}, entries(1, 1, 40)))(db); err != nil {
		t.Fatal(err)
	}
	d.names[segmentName(1)].data[3*sectorSize] ^= 1
	returned := aside(func() { _, _, _ = db.IterateEntries(nil, 0, 1, 9, 1, 40, 1<<40) })
	var damage *Damage
	if returned || !errors.As(fatal, &damage) || damage.Offset != 3*sectorSize {
		t.Errorf("returned %v, fatal %v", returned, fatal)
	}
}

// aside runs f on a goroutine and reports whether it returned.
func aside(f func()) (returned bool) {
	var work sync.WaitGroup
	work.Go(func() {
		f()
		returned = true
	})
	work.Wait()
	return returned
}

// openEnding opens a log with small segments whose end, in fatal, ends the goroutine alone.
func openEnding(t *testing.T) (d *disc, db *raftLog, fatal *error) {
	t.Helper()
	d, fatal = newDisc(), new(error)
	o := small()
	o.SegmentSize = 4 << 10
	o.Fatal = func(err error) { *fatal = err; runtime.Goexit() }
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	return d, db, fatal
}

// holdsOneOf opens the log again, which must hold what was acknowledged, or that and the last
// write too.
func holdsOneOf(t *testing.T, when string, d *disc, acknowledged, written model) {
	t.Helper()
	if damage, err := reopened(d, small(), acknowledged); damage != nil || err != nil {
		if damage, other := reopened(d, small(), written); damage != nil || other != nil {
			t.Fatalf("%s: %v, %v, %v", when, damage, err, other)
		}
	}
}

// TestADiskErrorEndsIt makes each write and sync fail in turn. Neither that call nor any
// later one returns, and the next start finds everything that was acknowledged.
func TestADiskErrorEndsIt(t *testing.T) {
	for _, fails := range []error{syscall.EIO, syscall.ENOSPC} {
		for after := range 60 {
			d, db, fatal := openEnding(t)
			d.left = after
			m, maybe := model{}, model{}
			aside(func() { m, maybe = run(db, m, 1000, seeded(uint64(after)), new([]string)) })
			if !errors.Is(*fatal, errCut) {
				t.Fatal(*fatal)
			}
			d.left, d.fails, *fatal = -1, fails, nil
			if returned := aside(func() { _ = save(update(1, pb.State{Term: 9}, nil))(db) }); returned || !errors.Is(*fatal, fails) {
				t.Fatalf("returned %v: %v", returned, *fatal)
			}
			holdsOneOf(t, fmt.Sprintf("after %d", after), d.cut(func() bool { return true }), m, maybe)
		}
	}
}

// TestAShortWriteIsNoDamage writes to files until a limit in the middle of a sector.
func TestAShortWriteIsNoDamage(t *testing.T) {
	for most := int64(5); most < 4<<10; most += 131 {
		d, db, fatal := openEnding(t)
		m, maybe := model{}, model{}
		aside(func() { m, maybe = run(db, m, 1, seeded(1), new([]string)) }) // zeros are ahead now
		d.most = most
		aside(func() { m, maybe = run(db, m, 1000, seeded(uint64(most)), new([]string)) })
		if d.most = 0; !errors.Is(*fatal, syscall.EFBIG) {
			t.Fatalf("a limit of %d bytes: %v", most, *fatal)
		}
		for _, after := range []*disc{d, d.cut(func() bool { return true })} {
			holdsOneOf(t, fmt.Sprintf("a limit of %d bytes", most), after, m, maybe)
		}
	}
}

// TestANearlyFullDiskDoes checks that segments shrink to the room that is left.
func TestANearlyFullDiskDoes(t *testing.T) {
	d := newDisc()
	d.room = 50 << 10
	o := small()
	o.SegmentSize = 1 << 20
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := run(db, model{}, 200, seeded(5), new([]string))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if damage, err := reopened(d, small(), m); damage != nil || err != nil {
		t.Error(damage, err)
	}
}

// TestATornWriteIsToldInOneLine checks the one log line about a torn write.
func TestATornWriteIsToldInOneLine(t *testing.T) {
	d, _, before := sample(t)
	disk, err := load(d.clone())
	if err != nil {
		t.Fatal(err)
	}
	f := d.names[segmentName(disk.active.number)]
	clear(f.data[disk.active.previous*sectorSize:][:sectorSize])
	var text bytes.Buffer
	o := small()
	o.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelInfo}))
	for range 2 { // and not again
		db, err := openAt(d, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := before.differs(db, true); err != nil {
			t.Error(err)
		}
	}
	if strings.Count(text.String(), "\n") != 1 || !strings.Contains(text.String(), "cut off by a crash") {
		t.Errorf("%s", text.String())
	}
}

// FuzzFrame decodes valid frames with arbitrary content, as the first frame or a later one.
func FuzzFrame(f *testing.F) {
	d, _, _ := sampleFuzz(f)
	for name := range withoutSpare(d) {
		s, err := openSegment(d, mustNumber(name))
		if err != nil {
			f.Fatal(err)
		}
		_, _ = s.scan(func(content []byte, _ uint32) error {
			f.Add(bytes.Clone(content), s.previous == 1)
			return nil
		})
	}
	f.Fuzz(func(t *testing.T, content []byte, head bool) {
		if tooWide(content) {
			return
		}
		x := newIndex()
		_ = x.apply(frame{content: content, segment: 1, at: 4, head: head})
		_ = x.apply(frame{content: content, segment: 2, at: 4, head: head, follows: true})
		_ = x.complete()
	})
}

// tooWide reports whether a head claims more entries than a test has memory for.
func tooWide(content []byte) bool {
	for at := 0; at < len(content); {
		r, next, err := cutRecord(content, at)
		if err != nil {
			return false
		}
		if n, err := r.numbers(2); err == nil && r.kind == rangeRecord && n[1]-n[0] > 1<<16 {
			return true
		}
		at = next
	}
	return false
}

func sampleFuzz(f *testing.F) (*disc, model, model) {
	d := newDisc()
	db, err := openAt(d, small())
	if err != nil {
		f.Fatal(err)
	}
	m, before := run(db, model{}, 300, seeded(1), new([]string))
	return d, m, before
}

// FuzzSegment reads arbitrary bytes as a segment.
func FuzzSegment(f *testing.F) {
	d, _, _ := sampleFuzz(f)
	file := d.names[slices.Min(slices.Collect(maps.Keys(withoutSpare(d))))]
	f.Add(file.data)
	f.Add(file.data[:3*sectorSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDisc()
		file := &memFile{d: d, data: data}
		d.names[segmentName(1)] = file
		disk, err := load(d)
		var damage *Damage
		if err != nil && !errors.As(err, &damage) && !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		_ = disk.close()
	})
}

var _ raftio.ILogDB = (*raftLog)(nil)
