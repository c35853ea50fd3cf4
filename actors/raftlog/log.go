package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine/metric"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// Options configure a log.
type Options struct {
	// Expected says that there was a log in the directory: an empty one is damage.
	Expected bool
	// Fatal is told of an error that the log can't go on after, a disk's or a *Damage. It
	// should end the process: the call that met the error never returns.
	Fatal  func(error)
	Logger *slog.Logger
	// SegmentSize is that of the largest segments, Memory the bytes of the newest entries
	// that are kept in memory. Zero stands for what is good for a server.
	SegmentSize int64
	Memory      int
}

const (
	segmentSize  = 32 << 20
	firstSize    = 1 << 20 // of the first segment; each is twice as large as the one before
	memory       = 16 << 20
	spareFiles   = 2
	pieceSectors = 512     // of a frame, which are written at once
	contentLimit = 4 << 20 // of a content to which commits are added, or that isn't long
)

// counts are the counters of a log.
type counts struct {
	Syncs  *metric.Histogram
	Failed atomic.Uint64
}

// raftLog is an open log.
type raftLog struct {
	o      Options
	counts *counts
	dir    files

	// queue guards the batch that is being filled.
	queue   sync.Mutex
	pending *batch

	// writing is held while a frame is written and synced, and while segments change.
	writing sync.Mutex
	active  *segment
	spare   []string
	reused

	// mu guards what readers need.
	mu       sync.RWMutex
	index    *index
	segments map[uint32]*segment
}

// reused are buffers that are used again.
type reused struct {
	sectors  []byte    // of a piece of the frame
	content  []byte    // with commits
	contents sync.Pool // *[]byte: those of batches that are done
	long     sync.Pool // those above contentLimit; short ones would keep them for ever
}

// mutant breaks the log in tests that show that other tests would notice.
var mutant struct {
	noSync, noChain, noSalt bool
	bareHead                bool // a head has no hard states
	freeEarly               bool // segments are given back that are needed
}

// batch is records of any number of callers that become one frame.
type batch struct {
	content []byte
	added   []added
	done    bool // guarded by writing
}

// added are entries of a batch.
type added struct {
	node    raftio.NodeInfo
	entries []pb.Entry
}

// open reads the log in the directory, or founds one there.
func open(dir files, o Options, c *counts) (*raftLog, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = segmentSize
	}
	if o.Memory == 0 {
		o.Memory = memory
	}
	began := time.Now()
	d, err := load(dir)
	if err == nil && d.active == nil && o.Expected {
		err = &Damage{File: dir.Path(segmentName(1)), Reason: "the file is missing, and so are all others of the log"}
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	l := &raftLog{
		o: o, counts: c, dir: dir, pending: &batch{},
		active: d.active, spare: d.spare, index: d.index, segments: d.segments,
	}
	if d.active == nil {
		err = errors.Join(d.tidy(), l.found())
	} else {
		if d.torn.to > 0 {
			o.Logger.Warn("the last write to the raft log was cut off by a crash, before anything of it was acknowledged; it is dropped",
				"component", "raftlog", "file", d.active.path, "offset", d.torn.from*sectorSize)
		}
		err = d.repair()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the raft log: %w", err), l.closeFiles())
	}
	o.Logger.Debug("the raft log is read", "component", "raftlog", "segments", len(l.segments), "took", time.Since(began))
	return l, nil
}

// fail ends the process, and in any case this goroutine's progress: dragonboat would panic
// at an error, and after a failed sync nobody knows what is on disk, so nothing may be
// acknowledged. Locks stay held, which stops the others too.
func (l *raftLog) fail(err error) {
	l.o.Fatal(err)
	select {}
}

// save makes what add appends durable, with what others add meanwhile. It returns when
// that is on disk.
func (l *raftLog) save(add func(b *batch)) {
	l.queue.Lock()
	b := l.pending
	if b.content == nil {
		if used, ok := l.contents.Get().(*[]byte); ok {
			b.content = *used
		}
	}
	add(b)
	l.queue.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	if b.done {
		return // another caller's write took it along
	}
	l.queue.Lock()
	l.pending = &batch{}
	l.queue.Unlock()
	content := l.withCommits(b.content)
	at, err := l.write(content)
	if err != nil {
		l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.index.apply(frame{content: content, segment: l.active.key(), at: at}); err != nil {
		l.fail(fmt.Errorf("raft log: %w", err))
	}
	for _, a := range b.added {
		l.index.of(a.node).remember(a.entries, l.o.Memory/len(l.index.replicas))
	}
	b.done = true
	content = b.content[:0] // the index has copies of what it keeps of it
	if cap(content) > contentLimit {
		l.long.Put(&content)
	} else {
		l.contents.Put(&content)
	}
}

// lengthen moves content into a buffer that a long one has left, if entries make it long and
// they fit. One that is too small, or far too large, is let go of: it would be kept for ever.
func (l *raftLog) lengthen(content []byte, entries []pb.Entry) []byte {
	size := len(content) + entriesAtMost(entries)
	if size <= contentLimit || size <= cap(content) {
		return content
	}
	if used, ok := l.long.Get().(*[]byte); ok && size <= cap(*used) && cap(*used) <= 2*size {
		return append((*used)[:0], content...)
	}
	return content
}

// withCommits puts the commits that were not worth a write of their own before the content. They
// aren't worth copying a long one either.
func (l *raftLog) withCommits(content []byte) []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	l.content = l.content[:0]
	if len(content) > contentLimit {
		return content
	}
	for node, r := range l.index.replicas {
		if r.state != r.written {
			l.content = appendState(l.content, node, r.state)
		}
	}
	if len(l.content) == 0 {
		return content
	}
	l.content = append(l.content, content...)
	return l.content
}

func appendState(dst []byte, node raftio.NodeInfo, s pb.State) []byte {
	return appendNumbers(dst, stateRecord, node, s.Term, s.Vote, s.Commit)
}

// write makes the content a frame on disk. at is where the content is in the payload of
// the segment that is active then. writing is held.
func (l *raftLog) write(content []byte) (at uint32, err error) {
	need := sectorsOf(len(content))
	if need > maxSectors/2 {
		return 0, fmt.Errorf("%d bytes are too much for the raft log at once", len(content))
	}
	if l.active.next+need >= l.active.sectors { // the last sector is for the name of the next segment
		if err := l.rotate(need); err != nil {
			return 0, err
		}
	}
	at = uint32(l.active.next*payloadSize + lengthSize)
	return at, l.put(l.active, content)
}

// put writes one frame to the segment, and syncs it.
func (l *raftLog) put(s *segment, content []byte) error {
	f := frameWriter{content: content, salt: s.salt, before: s.chain, chain: s.chain, at: s.next, sectors: sectorsOf(len(content))}
	end := s.next + f.sectors
	var err error
	for f.made < f.sectors && err == nil {
		at := s.next + f.made
		l.sectors = f.append(l.sectors[:0], pieceSectors)
		_, err = s.file.WriteAt(l.sectors, at*sectorSize)
	}
	if err != nil { // nobody knows how much is there, and part of a sector would be taken for damage
		_, _ = s.file.WriteAt(make([]byte, f.made*sectorSize), s.next*sectorSize)
	}
	if err == nil && f.sectors*sectorSize <= smallFrame {
		err = s.zeroAhead(end)
	}
	if err != nil {
		return fmt.Errorf("write the raft log: %w", err)
	}
	if err := l.sync(s.file); err != nil {
		return err
	}
	s.previous, s.next, s.chain = s.next, end, f.chain
	return nil
}

// A block of a new file that is written for the first time makes the sync slower, since the
// file system has to note that it isn't empty any more. So a small frame takes some of the
// blocks behind it along, as zeros, which are the same as nothing: one frame in 256 or less
// is a slow one. They are written one by one, for what is written at once may be one folio
// of the page cache, all of which counts as changed when a sector of it is.
const (
	zerosAhead = 128 << 10
	smallFrame = 8 << 10
	blockSize  = 4 << 10
)

var noBlock [blockSize]byte

// zeroAhead writes zeros behind a frame that ends before a sector, if that wasn't done yet.
func (s *segment) zeroAhead(end int64) error {
	if end <= s.fresh {
		return nil
	}
	s.fresh = min(end+zerosAhead/sectorSize, s.sectors)
	for at := end * sectorSize; at < s.fresh*sectorSize; {
		n := min(blockSize-at%blockSize, s.fresh*sectorSize-at)
		if _, err := s.file.WriteAt(noBlock[:n], at); err != nil {
			return err
		}
		at += n
	}
	return nil
}

func (l *raftLog) sync(f file) error {
	if mutant.noSync {
		return nil
	}
	began := time.Now()
	if err := f.Sync(); err != nil {
		l.counts.Failed.Add(1)
		return fmt.Errorf("sync the raft log: %w", err)
	}
	l.counts.Syncs.ObserveSince(began)
	return nil
}

func (l *raftLog) closeFiles() (err error) {
	for _, s := range l.segments {
		err = errors.Join(err, s.file.Close())
	}
	return err
}
