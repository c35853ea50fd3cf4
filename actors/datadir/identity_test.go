package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"copse/actors/datadir"
)

// FuzzIdentity opens directories with arbitrary copse.json files. Each must be refused as
// newer or corrupt, or accepted and read back unchanged.
func FuzzIdentity(f *testing.F) {
	dir := f.TempDir()
	d, err := datadir.Open(dir, identity(), datadir.Claim{})
	if err != nil {
		f.Fatal(err)
	}
	if err := d.Close(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "copse.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte(`{"format":9}`))
	f.Add([]byte(`{"format":0}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"format":1,"clusterId":"1","memberId":"0"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := t.TempDir()
		write(t, filepath.Join(path, "copse.json"), string(content))
		d, err := datadir.Open(path, identity(), datadir.Claim{})
		if err != nil {
			if !errors.Is(err, datadir.ErrNewer) && !errors.Is(err, datadir.ErrCorrupt) && !errors.Is(err, datadir.ErrForeign) {
				t.Errorf("err = %v", err)
			}
			return
		}
		id := d.Identity
		closeDir(t, d)
		if again := openDir(t, path, id); again.Identity != id {
			t.Errorf("%+v, want %+v", again.Identity, id)
		}
	})
}
