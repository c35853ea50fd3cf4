// Package etcddirtest has the samples of package etcddir, for all whose tests read them: data
// directories that real etcds wrote. It is for tests only.
package etcddirtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// spare is how many bytes are kept of the zeros that etcd reserves behind its log.
const spare = 4096

// archives has what Files has read: each is 64 MB, and nearly all of it zeros.
var archives sync.Map

// Files reads an archive of the samples. Of the zeros at the end of a log most are left out.
// The files are the caller's to change, but not their bytes.
func Files(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	whole, ok := archives.Load(name)
	if !ok {
		whole, _ = archives.LoadOrStore(name, readArchive(t, name))
	}
	files := fstest.MapFS{}
	for name, f := range whole.(fstest.MapFS) {
		files[name] = &fstest.MapFile{Data: f.Data}
	}
	return files
}

// Unpack puts a sample on disk, and returns the directory with its name.
func Unpack(t testing.TB, name string) string {
	t.Helper()
	to := t.TempDir()
	for path, f := range Files(t, name) {
		path = filepath.Join(to, path)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, f.Data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(to, name)
}

func readArchive(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	f, err := os.Open(filepath.Join(filepath.Dir(here), "..", "testdata", name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir || strings.HasSuffix(h.Name, "/db") {
			continue
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		used := len(bytes.TrimRight(data, "\x00"))
		files[h.Name] = &fstest.MapFile{Data: bytes.Clone(data[:min(len(data), used+spare)])}
	}
}
