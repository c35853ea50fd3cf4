package actors

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestStretcherMakesLogsLongerAndTouchesNothingElse(t *testing.T) {
	dir := t.TempDir()
	content := []byte("what was written already")
	long := make([]byte, stretchedSize+1)
	files := map[string]struct {
		content []byte
		size    int
	}{
		"host/1/logdb-0/000002.log":      {content, stretchedSize},
		"host/1/logdb-1/000003.log":      {nil, stretchedSize},
		"host/1/logdb-0/000004.log":      {long, len(long)},
		"host/1/logdb-0/000005.sst":      {content, len(content)},
		"host/1/logdb-0/MANIFEST-000001": {content, len(content)},
		"host/1/snapshot/000006.log":     {content, len(content)},
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := NewStretcher(dir, slog.New(slog.DiscardHandler))
	for range 2 {
		s.stretch()
		for name, f := range files {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			want := append(bytes.Clone(f.content), make([]byte, f.size-len(f.content))...)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: got %d bytes beginning with %.30q", name, len(got), got)
			}
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	if s.stretch(); len(s.seen) != 0 {
		t.Errorf("files that are gone are kept in mind: %v", s.seen)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.stretch() // there is nothing to say, and nothing to fail
}
