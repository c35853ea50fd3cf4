package actors

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Stretcher is the actor that makes the files of the raft log as long as they
// will get, before they are written.
//
// Each acknowledged write waits for one sync of the log. While a file grows, its
// new length has to reach the disk with the data, in a place of its own, which
// makes a sync half as long again (0.15 to 0.19 ms instead of 0.11 to 0.14 on
// the machine of bench/RESULTS.md). The engine's store reserves the blocks and
// leaves the length alone; it writes over its old files later, which are long
// already, so it takes whatever lies behind the end of a log for nothing, as it
// does the zeros here.
type Stretcher struct {
	// Fixed after NewStretcher.
	dir  string // the engine's
	log  *slog.Logger
	life life

	// Owned by Run, before that by NewStretcher's caller.
	seen map[string]bool // paths of files that are as they should be, or can't be
}

const (
	// stretchedSize is about what the engine reserves for one file: a tenth more
	// than its write buffer.
	stretchedSize = logWriteBuffer + logWriteBuffer/10 - 1<<20
	stretchEvery  = time.Second
)

// NewStretcher returns the stretcher of the engine's directory.
func NewStretcher(dir string, log *slog.Logger) *Stretcher {
	return &Stretcher{dir: dir, log: log, life: newLife(), seen: make(map[string]bool)}
}

// Run is the actor's loop.
func (s *Stretcher) Run() error {
	if !s.life.begin() {
		return nil
	}
	defer s.life.end()
	ticker := time.NewTicker(stretchEvery)
	defer ticker.Stop()
	for {
		s.stretch()
		select {
		case <-ticker.C:
		case <-s.life.stop:
			return nil
		}
	}
}

// Stop ends the loop and waits for it.
func (s *Stretcher) Stop() { s.life.halt() }

// stretch looks at the files that are there now. Nothing depends on it but the
// time that a sync takes, so what goes wrong is only told.
func (s *Stretcher) stretch() {
	there := make(map[string]bool)
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isEngineLog(path) {
			return nil // a file may go while it is looked at
		}
		there[path] = true
		if !s.seen[path] {
			if err := stretchFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.log.Debug("a file of the raft log can't be made longer beforehand", "path", path, "err", err)
			}
		}
		return nil
	})
	if err != nil {
		s.log.Debug("the raft log's files can't be looked at", "dir", s.dir, "err", err)
	}
	s.seen = there
}

// isEngineLog reports whether path is a log of the store that the raft log is
// kept in.
func isEngineLog(path string) bool {
	return strings.HasSuffix(path, ".log") && strings.HasPrefix(filepath.Base(filepath.Dir(path)), "logdb-")
}

// stretchFile makes a file longer; it never makes one shorter. The bytes that
// are new read as zeros.
func stretchFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < stretchedSize {
		err = unix.Fallocate(int(f.Fd()), 0, 0, stretchedSize)
		if err == nil {
			err = f.Sync()
		}
	}
	return errors.Join(err, f.Close())
}
