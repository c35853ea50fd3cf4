package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Names in a log's directory.
const (
	segmentSuffix = ".log"  // a segment, by its number
	newSuffix     = ".new"  // one that isn't ready yet
	spareSuffix   = ".free" // a file to make a segment of
)

func numbered(n uint64, suffix string) string { return fmt.Sprintf("%016x%s", n, suffix) }
func segmentName(n uint64) string             { return numbered(n, segmentSuffix) }

// disk is a log as it was read from its directory. Nothing there has changed yet.
type disk struct {
	dir      files
	index    *index
	segments map[uint32]*segment // by key
	active   *segment            // the last; nil if there is no log
	torn     torn                // what a crash has left of its last frame
	useless  []string            // names of files to remove
	spare    []string            // names of files to use again
}

// load reads the log. An error is a *Damage, or else the system's; then disk holds what was
// read before it. Either way its files are open.
func load(dir files) (*disk, error) {
	d := &disk{dir: dir, index: newIndex(), segments: map[uint32]*segment{}}
	names, err := dir.List()
	if err != nil {
		return d, err
	}
	numbers := d.sort(names)
	if len(numbers) == 0 {
		return d, nil
	}
	last, err := d.newest(numbers)
	if err != nil {
		return d, err
	}
	list, err := d.listed(last)
	if err != nil {
		return d, err
	}
	for _, n := range numbers {
		if n != last && !slices.ContainsFunc(list, func(l listed) bool { return l.number == n }) {
			d.useless = append(d.useless, segmentName(n))
		}
	}
	for _, l := range append(list, listed{number: last}) {
		if err := d.read(l, l.number == last); err != nil {
			return d, err
		}
	}
	if err := d.index.complete(); err != nil {
		return d, &Damage{File: d.active.path, Offset: d.active.next * sectorSize, Reason: err.Error()}
	}
	return d, nil
}

func (d *disk) close() (err error) {
	for _, s := range d.segments {
		err = errors.Join(err, s.file.Close())
	}
	return err
}

// sort tells the files of the directory apart. It returns the numbers of the segments, in
// their order. What isn't the log's is left alone.
func (d *disk) sort(names []string) (numbers []uint64) {
	for _, name := range names {
		base, suffix, _ := strings.Cut(name, ".")
		n, err := strconv.ParseUint(base, 16, 64)
		if err != nil || name != numbered(n, "."+suffix) {
			continue
		}
		switch "." + suffix {
		case segmentSuffix:
			numbers = append(numbers, n)
		case newSuffix:
			d.useless = append(d.useless, name)
		case spareSuffix:
			d.spare = append(d.spare, name)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// newest returns the number of the segment that is written to. That is the last one, unless
// the process died before the one before it was ended.
func (d *disk) newest(numbers []uint64) (uint64, error) {
	last := numbers[len(numbers)-1]
	if len(numbers) == 1 || numbers[len(numbers)-2] != last-1 {
		return last, nil
	}
	ended, _, err := d.survey(last - 1)
	if err != nil || ended {
		return last, err
	}
	_, frames, err := d.survey(last)
	if err != nil {
		return last, err
	}
	if frames > 1 {
		return last, &Damage{File: d.dir.Path(segmentName(last - 1)), Reason: fmt.Sprintf("the end of the file is missing, for segment %d is in use", last)}
	}
	d.useless = append(d.useless, segmentName(last))
	return last - 1, nil
}

// survey reads a segment without making anything of it.
func (d *disk) survey(number uint64) (ended bool, frames int, err error) {
	s, err := openSegment(d.dir, number)
	if err != nil {
		return false, 0, err
	}
	left, err := s.scan(func([]byte, uint32) error { frames++; return nil })
	if err == nil && (left.to > 0 && left.from == 1 || frames == 0) {
		err = s.damage(1, "the first frame is missing")
	}
	if left.to > 0 {
		frames++
	}
	return s.sealed, frames, errors.Join(err, s.file.Close())
}

// listed is a segment that the head of a later one says is needed.
type listed struct {
	number uint64
	end    uint32 // the chain there, before the frame that names the next
}

// listed reads the list in the head of a segment.
func (d *disk) listed(number uint64) (list []listed, err error) {
	s, err := openSegment(d.dir, number)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.file.Close()) }()
	content, whole, err := s.readFrame(newSectorReader(s), nil)
	if err != nil {
		return nil, err
	}
	r, _, err := cutRecord(content, 0)
	if !whole || err != nil || r.kind != segmentsRecord || len(r.body)%12 != 0 {
		return nil, s.damage(1, "the first frame is missing")
	}
	for b := r.body; len(b) > 0; b = b[12:] {
		list = append(list, listed{le.Uint64(b), le.Uint32(b[8:])})
	}
	return list, nil
}

// read reads a segment that is needed, behind those before it.
func (d *disk) read(l listed, last bool) error {
	s, err := openSegment(d.dir, l.number)
	if errors.Is(err, fs.ErrNotExist) {
		return &Damage{File: d.dir.Path(segmentName(l.number)), Reason: "the file is missing"}
	}
	if err != nil {
		return err
	}
	before := d.segments[uint32(l.number-1)]
	d.segments[s.key()] = s
	if before != nil && (before.nextNumber != s.number || before.nextSalt != s.salt || before.end != s.before) {
		return s.damage(0, "this is not the segment that followed the one before it")
	}
	d.active = s
	head := true
	d.torn, err = s.scan(func(content []byte, at uint32) error {
		f := frame{content: content, segment: s.key(), at: at, head: head, follows: before != nil}
		head = false
		return d.index.apply(f)
	})
	switch {
	case err != nil:
		return err
	case head:
		return s.damage(1, "the first frame is missing")
	case last && s.sealed:
		return &Damage{File: d.dir.Path(segmentName(s.nextNumber)), Reason: "the file is missing", Position: Position{s.number, uint32(s.previous)}}
	case !last && (!s.sealed || s.end != l.end):
		return s.damage(s.next, "the end of the file is missing")
	}
	return nil
}

// repair makes what load has read the state on disk, before anything builds on it: what is
// left of a torn frame is wiped, or a later write that is torn as well could be mixed with
// it; and the last whole frame is written again, since a process that died before its sync
// may have left it in the page cache alone, and a sync that failed may have left it there
// marked as written.
func (d *disk) repair() error {
	s := d.active
	s.fresh = s.next
	if d.torn.to > 0 {
		zeros := make([]byte, (d.torn.to-d.torn.from)*sectorSize)
		if _, err := s.file.WriteAt(zeros, d.torn.from*sectorSize); err != nil {
			return err
		}
	}
	last := make([]byte, (s.next-s.previous)*sectorSize)
	if err := s.read(last, s.previous); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(last, s.previous*sectorSize); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return d.tidy()
}

// tidy removes files that nothing needs.
func (d *disk) tidy() error {
	for _, name := range d.useless {
		if err := d.dir.Remove(name); err != nil {
			return err
		}
	}
	if len(d.useless) == 0 {
		return nil
	}
	return d.dir.Sync()
}
