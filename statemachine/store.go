package statemachine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// openStore opens the Pebble store that at describes, in the directory home.
func (m *Machine) openStore(at current) (h *handle, err error) {
	path := filepath.Join(m.home.dir, at.name)
	defer func() {
		switch r := recover().(type) {
		case nil:
		case lineError: // with no Fatal
			err = r
		default:
			err = fmt.Errorf("%w: %v", ErrDamaged, r) // so some of Pebble's readers report what they don't understand
		}
		if err != nil {
			err = oneLine(fmt.Errorf("open store %s: %w", path, err))
		}
	}()
	files, err := openFS(m.home, at, m.end)
	if err != nil {
		return nil, err
	}
	o := m.pebble()
	o.FS, o.ErrorIfNotExists = files, at.promises()
	db, err := pebble.Open(path, o)
	if err != nil {
		if refused := syscall.Errno(0); !errors.As(cause(err), &refused) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err) // the files were there to be read, and make no sense
		}
		return nil, err
	}
	return newHandle(db, files, m.end), nil
}

// storeOptions returns the options of a shard's store. Bloom filters save most disk reads
// of missing keys, which are common: a write first looks up its key and the parent.
//
// The store has no log of its own: what isn't flushed yet is in the raft log. Large values
// are written to files apart from the tables (blob files), which compactions don't carry
// along; a file goes when nothing refers to it any more, and is written anew without the
// rest when half of what such files hold is garbage.
//
// Pebble's format version is pinned. A newer Pebble must not make the store unreadable for
// an older copse, unless we decide so with a new Format.
func storeOptions(from Options, end ending) *pebble.Options {
	logger := from.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	o := &pebble.Options{
		Cache:                       from.Cache,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MaxOpenFiles:                from.Files,
		Logger:                      pebbleLogger{logger, end},
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 8,
		L0CompactionThreshold:       4,
		LBaseMaxBytes:               16 << 20, // what L0 is merged with each time
		L0StopWritesThreshold:       24,
		BytesPerSync:                1 << 20,
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           largeValueBytes,
			MaxBlobReferenceDepth: 1000, // values are written in the order of their keys, so that a file's lie together anyway
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    0.5,
		}
	}
	// One compaction runs at a time, so only the end of one makes room for another. Pebble's own
	// scheduler looks for room ten times a second besides, in each store.
	o.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	o.EventListener = &pebble.EventListener{
		BackgroundError: end.with,
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			end.with(fmt.Errorf("%w: %s: %w", ErrDamaged, i.Path, i.Details))
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// ending ends the process when Pebble can't go on.
type ending struct {
	dir   string
	fatal func(error) // as Options.Fatal
}

// with doesn't return.
func (e ending) with(err error) {
	if err = oneLine(fmt.Errorf("store of %s: %w", e.dir, err)); e.fatal == nil {
		panic(err)
	}
	e.fatal(err)
}

// ifDamaged ends the process if err says that the store is damaged. Pebble calls the
// listener for what is wrong with a table, but not for what is wrong within a blob file.
func (e ending) ifDamaged(err error) {
	if err != nil && e.fatal != nil && cause(err) == ErrDamaged {
		e.with(err)
	}
}

// cause returns what is behind err: the operating system's error, ErrDamaged, or else err.
// Pebble takes some errors of the operating system for damage; they come first.
func cause(err error) error {
	var refused syscall.Errno
	switch {
	case errors.As(err, &refused) && refused != syscall.ENOENT:
		return refused
	case pebble.IsCorruptionError(err), errors.Is(err, ErrDamaged), errors.Is(err, fs.ErrNotExist):
		return ErrDamaged
	}
	return err
}

// oneLine returns an error with the message of err in one line, and with its cause:
// Pebble's messages may have several.
func oneLine(err error) error {
	return lineError{cause(err), strings.Join(strings.Fields(err.Error()), " ")}
}

type lineError struct {
	cause error
	line  string
}

func (e lineError) Error() string { return e.line }
func (e lineError) Unwrap() error { return e.cause }

// pebbleLogger passes Pebble's messages to a slog.Logger. Pebble calls Fatalf when it can't
// continue, and expects it not to return.
type pebbleLogger struct {
	log *slog.Logger
	end ending
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error(fmt.Sprintf(format, args...))
}

// Fatalf keeps an error among its arguments, so that damage is told from a full disk.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.end.with(lineError{err, text})
		}
	}
	l.end.with(errors.New(text))
}
