package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lni/dragonboat/v4/config"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// TestCutLeavesWhatIsSound damages each frame of a log, cuts the log there, and compares
// the rest with the log's content before that frame.
func TestCutLeavesWhatIsSound(t *testing.T) {
	d, o := newDisc(), small()
	o.SegmentSize = 1 << 20
	db, err := openAt(d, o)
	if err != nil {
		t.Fatal(err)
	}
	history := map[uint32]model{}
	m, draw := model{}, seeded(4)
	for range 40 {
		history[uint32(db.active.next)] = m // the content before the frame at this sector
		m, _ = run(db, m, 1, draw, new([]string))
	}
	for sector, then := range history {
		if int64(sector) == db.active.next {
			continue
		}
		broken := d.clone()
		broken.names[segmentName(1)].data[int64(sector)*sectorSize+10] ^= 4
		if err := cut(broken, Position{1, sector + 1}); err == nil {
			t.Errorf("cut at a place that isn't the damage's, %d", sector+1)
		}
		if err := cut(broken, Position{1, sector}); err != nil {
			t.Errorf("cut at %d: %v", sector, err)
			continue
		}
		if damage, err := reopened(broken, o, then); damage != nil || err != nil {
			t.Errorf("cut at %d: %v, %v", sector, damage, err)
		}
		if err := cut(broken, Position{1, sector}); err == nil {
			t.Errorf("a sound log was cut at %d", sector)
		}
	}
}

func TestInspectSaysWhatThereIs(t *testing.T) {
	dir := t.TempDir()
	db, err := New(small()).Create(config.NodeHostConfig{}, nil, []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(save(update(1, pb.State{Term: 3, Vote: 9, Commit: 2}, entries(1, 1, 3)))(db), snapshot(1, 2)(db), db.Close()); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	log := string(directory(dir).Path(Subdirectory))
	if err := Inspect(log, &text); err != nil {
		t.Error(err)
	}
	const want = "shard 1, member 9: term 3, vote 9, committed up to entry 2; entries 3 to 3; snapshot up to entry 2\n"
	if got := text.String(); !strings.Contains(got, want) || !strings.HasPrefix(got, "segment 1: "+log) {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestPositionsAreReadAsTheyArePrinted(t *testing.T) {
	for _, text := range []string{"", "1", "1:", ":1", "1:2:3", "1:2x", "01:2", "-1:2", "1:99999999999"} {
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
	if p, err := ParsePosition(fmt.Sprint(Position{12, 345})); err != nil || p != (Position{12, 345}) {
		t.Error(p, err)
	}
}
