package etcddir_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"copse/statemachine/etcddir"
	"copse/statemachine/etcddir/etcddirtest"
	"copse/statemachine/tree"
)

var (
	flips = flag.Int("flips", 60, "how many bits to flip in each sample")
	seed  = flag.Uint64("seed", 1, "of the damage")
)

// damageable are samples with logs of each form, with and without a snapshot.
var damageable = []struct{ name, dir string }{
	{"etcd-2.3.8-single", "etcd-2.3.8-single"},
	{"etcd-3.5.35-single", "etcd-3.5.35-single"},
	{"etcd-3.4.23-three", "three/m4"},
	{"etcd-3.4.23-killed", "ack/b"},
	{"etcd-upgraded-2.3-3.4-3.5", "etcd-upgraded-2.3-3.4-3.5"},
}

// used returns the names of the files that are read, and a copy of the sample.
func used(t *testing.T, name, dir string) (names []string, files fstest.MapFS) {
	files = fstest.MapFS{}
	newest := ""
	for name, f := range etcddirtest.Files(t, name) {
		if !strings.HasPrefix(name, dir+"/") {
			continue
		}
		files[name] = f
		if strings.HasSuffix(name, ".wal") {
			names = append(names, name)
		} else if strings.HasSuffix(name, ".snap") {
			newest = max(newest, name)
		}
	}
	if newest != "" {
		names = append(names, newest)
	}
	slices.Sort(names)
	return names, files
}

func read(t *testing.T, files fstest.MapFS, dir string, o etcddir.Options) (*etcddir.Result, error) {
	return etcddir.Read([]etcddir.Source{{Name: dir, Dir: sub(t, files, dir)}}, o)
}

// print is all that matters of a result.
func print(r *etcddir.Result) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Index, r.Term, r.Cluster, r.Access)
	for n := range r.Nodes() {
		fmt.Fprintf(&b, "%q %q %t %d %d %d\n", n.Key, n.Value, n.Dir, n.Expires, n.Modified, n.Created)
	}
	return b.String()
}

// end is where a file ends, but for the zeros behind.
func end(data []byte) int { return len(bytes.TrimRight(data, "\x00")) }

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	for _, s := range damageable {
		t.Run(s.name, func(t *testing.T) {
			names, files := used(t, s.name, s.dir)
			random := rand.New(rand.NewPCG(*seed, 0))
			undamaged, err := read(t, files, s.dir, etcddir.Options{})
			if err != nil {
				t.Fatal(err)
			}
			sound := print(undamaged)
			for range *flips {
				name := names[random.IntN(len(names))]
				whole := files[name].Data
				at, bit := random.IntN(len(whole)), random.IntN(8)
				data := slices.Clone(whole)
				data[at] ^= 1 << bit
				files[name].Data = data
				r, err := read(t, files, s.dir, etcddir.Options{})
				var d *etcddir.Damage
				switch {
				case errors.As(err, &d) && strings.HasSuffix(name, d.File):
				case err == nil && at >= end(whole) && r.Losses.Torn != nil && print(r) == sound:
					// In the zeros behind the log, where it looks like the beginning of a frame.
				default:
					t.Fatalf("seed %d: bit %d of byte %d of %s was flipped: %v", *seed, bit, at, name, err)
				}
				files[name].Data = whole
			}
		})
	}
}

func TestEveryCutIsNoticed(t *testing.T) {
	for _, s := range damageable {
		t.Run(s.name, func(t *testing.T) {
			names, files := used(t, s.name, s.dir)
			random := rand.New(rand.NewPCG(*seed, 0))
			sound, err := read(t, files, s.dir, etcddir.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for range *flips / 2 {
				name := names[random.IntN(len(names))]
				whole := files[name].Data
				length := end(whole)
				at := random.IntN(length)
				files[name].Data = whole[:at]
				r, err := read(t, files, s.dir, etcddir.Options{})
				var d *etcddir.Damage
				switch {
				case err != nil:
					if !errors.As(err, &d) {
						t.Errorf("seed %d: %s cut at %d of %d: %v", *seed, name, at, length, err)
					}
				case !strings.HasSuffix(name, ".wal"):
					t.Errorf("seed %d: %s cut at %d of %d wasn't noticed", *seed, name, at, length)
				case r.Losses.Torn == nil && !r.Losses.Filled:
					t.Errorf("seed %d: %s cut at %d of %d wasn't noticed", *seed, name, at, length)
				case r.Index > sound.Index:
					t.Errorf("seed %d: index %d of %s cut at %d", *seed, r.Index, name, at)
				}
				files[name].Data = whole
			}
		})
	}
}

func TestATornWriteIsLeftOut(t *testing.T) {
	names, files := used(t, "etcd-3.4.23-three", "three/m4")
	wal := names[slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".wal") })]
	whole, err := read(t, files, "three/m4", etcddir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data := files[wal].Data
	sector := (end(data) - 1) / 512 * 512
	files[wal].Data = append(slices.Clone(data[:sector]), make([]byte, len(data)-sector)...)
	torn, err := read(t, files, "three/m4", etcddir.Options{})
	if err != nil || torn.Losses.Torn == nil || torn.Index > whole.Index {
		t.Fatalf("%v, %+v", err, torn)
	}
	files[wal].Data = data[:sector] // the same, but for the reserve
	if _, err = read(t, files, "three/m4", etcddir.Options{}); err != nil {
		t.Error(err)
	}
}

func TestDamageIsPassedOverOnRequest(t *testing.T) {
	names, files := used(t, "etcd-3.5.35-single", "etcd-3.5.35-single")
	sound, err := read(t, files, "etcd-3.5.35-single", etcddir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		whole := files[name].Data
		data := slices.Clone(whole)
		data[93000] ^= 1 // of the log, behind the record of a snapshot
		files[name].Data = data
		r, err := read(t, files, "etcd-3.5.35-single", etcddir.Options{TakeSound: true})
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case strings.HasSuffix(name, ".snap"): // the older snapshot and the log have all of it
			if !r.Losses.Whole() || len(r.Losses.Passed) != 1 || r.Index != sound.Index || r.Counts.Nodes != sound.Counts.Nodes {
				t.Errorf("%s: index %d, undamaged %d, losses %+v", name, r.Index, sound.Index, r.Losses)
			}
		case r.Losses.Whole(), len(r.Losses.Damages) != 1, r.Index >= sound.Index:
			t.Errorf("%s: index %d, undamaged %d, losses %+v", name, r.Index, sound.Index, r.Losses)
		}
		files[name].Data = whole
	}
}

func TestTheDamageOfADirectoryThatIsntTakenIsSaid(t *testing.T) {
	files := etcddirtest.Files(t, "etcd-3.4.23-three")
	wal := "three/m2/member/wal/0000000000000000-0000000000000000.wal"
	files[wal].Data = slices.Clone(files[wal].Data)
	files[wal].Data[3000] ^= 1
	sources := func(names ...string) (list []etcddir.Source) {
		for _, name := range names {
			list = append(list, etcddir.Source{Name: name, Dir: sub(t, files, "three/"+name)})
		}
		return list
	}
	for _, c := range []struct {
		dirs               string
		whole, passed, bad int
	}{
		{"m2 m1 m4", 2, 1, 0}, // the majority of m1, m2 and m4
		{"m1 m4 m2", 2, 1, 0},
		{"m2 m1", 1, 0, 1},
		{"m1 m1 m2", 1, 0, 1}, // one member's, twice
	} {
		r, err := etcddir.Read(sources(strings.Fields(c.dirs)...), etcddir.Options{TakeSound: true})
		if err != nil {
			t.Fatal(err)
		}
		if l := r.Losses; r.Sources != c.whole || len(l.Passed) != c.passed || len(l.Damages) != c.bad || !strings.HasPrefix(slices.Concat(l.Passed, l.Damages)[0].File, "m2/member/wal/") {
			t.Errorf("%s: %s, %d whole, passed over %v, damages %v", c.dirs, r.Source, r.Sources, l.Passed, l.Damages)
		}
	}
}

func TestAMissingFileIsNoticed(t *testing.T) {
	for _, s := range damageable {
		names, files := used(t, s.name, s.dir)
		for _, name := range names {
			if strings.HasSuffix(name, ".wal") {
				delete(files, name)
			}
		}
		if _, err := read(t, files, s.dir, etcddir.Options{}); err == nil {
			t.Errorf("%s: read without its log", s.name)
		}
	}
}

func TestDirectoriesOfDifferentClustersAreRefused(t *testing.T) {
	_, one := used(t, "etcd-2.3.8-single", "etcd-2.3.8-single")
	_, other := used(t, "etcd-3.5.35-single", "etcd-3.5.35-single")
	sources := []etcddir.Source{{Name: "one", Dir: sub(t, one, "etcd-2.3.8-single")}, {Name: "other", Dir: sub(t, other, "etcd-3.5.35-single")}}
	if _, err := etcddir.Read(sources, etcddir.Options{}); !errors.Is(err, etcddir.ErrClusters) {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsNoDirectoryOfAMemberIsNamed(t *testing.T) {
	for name, want := range map[string]string{"proxy/cluster": "proxy", "snapshot/1_1_1.ss": "0.4", "wal/x": "the one above", "other": "member/wal", "member/wal/x": "member/wal"} {
		_, err := etcddir.Read([]etcddir.Source{{Name: "d", Dir: fstest.MapFS{name: &fstest.MapFile{}}}}, etcddir.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheWindowHasTheEventsInOrder(t *testing.T) {
	for _, s := range samples {
		got := readSample(t, s.name, strings.Fields(s.dirs)...)
		last := tree.Index(0)
		for _, e := range got.Window.Events {
			if e.Index() <= last || e.Index() < got.Window.Start || e.Index() > got.Index || !strings.HasPrefix(e.Node.Key, "/") || strings.HasPrefix(e.Node.Key, "/1/x/x") {
				t.Errorf("%s: %+v after %d", s.name, e, last)
			}
			last = e.Index()
		}
		if last == 0 {
			t.Errorf("%s: no events", s.name)
		}
	}
}
