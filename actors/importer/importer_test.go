package importer_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/actors/importer"
	"copse/statemachine/etcddir"
	"copse/statemachine/etcddir/etcddirtest"
	"copse/statemachine/portable"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func options(out string) importer.Options {
	return importer.Options{Import: importer.Import{Out: out, IndexMargin: 100}}
}

func TestTheFileHasAllThatTheDirectoryHas(t *testing.T) {
	for _, name := range []string{"etcd-2.3.8-single", "etcd-2.3.8-backup", "etcd-upgraded-2.3-3.4-3.5"} {
		dir, out := etcddirtest.Unpack(t, name), filepath.Join(t.TempDir(), "out")
		var report bytes.Buffer
		check(t, importer.Run(t.Context(), []string{dir}, options(out), &report, io.Discard))
		r, err := etcddir.Read([]etcddir.Source{{Dir: os.DirFS(dir)}}, etcddir.Options{})
		check(t, err)
		f, err := os.Open(out)
		check(t, err)
		defer f.Close()
		in, err := portable.NewReader(f)
		check(t, err)
		if h := in.Header(); h.Index != r.Index+100 || h.Window != r.Window.Start || h.ClusterID != r.Cluster.ID || h.Term != r.Term || h.AuthEnabled != r.Access.Enabled {
			t.Errorf("%s: header %+v", name, h)
		}
		for n := range r.Nodes() {
			it, err := in.Next()
			check(t, err)
			if it.Node == nil || it.Node.Key != n.Key || !bytes.Equal(it.Node.Value, n.Value) || it.Node.Modified != n.Modified || it.Node.Created != n.Created || it.Node.Expires != n.Expires || it.Node.Dir != n.Dir {
				t.Fatalf("%s: %+v, want %+v", name, it.Node, n)
			}
		}
		others, events := 0, 0
		for {
			it, err := in.Next()
			if err == io.EOF {
				break
			}
			check(t, err)
			if others++; it.Event != nil {
				events++
			}
		}
		if want := len(r.Window.Events); events != want || others != want+len(r.Access.Users)+len(r.Access.Roles) {
			t.Errorf("%s: %d more lines, %d of them events, want %d", name, others, events, want)
		}
		if !strings.Contains(report.String(), "written") {
			t.Errorf("%s: %s", name, report.String())
		}
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	dir := etcddirtest.Unpack(t, "etcd-2.3.8-backup")
	taken := filepath.Join(t.TempDir(), "taken")
	check(t, os.WriteFile(taken, []byte("mine"), 0o600))
	for name, c := range map[string]struct {
		dirs []string
		o    importer.Options
		want error
	}{
		"no directory":              {nil, options("x"), importer.ErrUsage},
		"a file that exists":        {[]string{dir}, options(taken), importer.ErrUsage},
		"not etcd's":                {[]string{t.TempDir()}, options("x"), etcddir.ErrNoData},
		"two with one log":          {[]string{dir, dir}, importer.Options{Import: importer.Import{WALDir: dir, DryRun: true}}, importer.ErrUsage},
		"a directory of other logs": {[]string{dir}, importer.Options{Import: importer.Import{WALDir: t.TempDir(), DryRun: true}}, etcddir.ErrNoData},
	} {
		if err := importer.Run(t.Context(), c.dirs, c.o, io.Discard, io.Discard); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine" {
		t.Errorf("the file that existed: %q, %v", text, err)
	}
}

func TestALogElsewhere(t *testing.T) {
	dir := etcddirtest.Unpack(t, "etcd-2.3.8-single")
	elsewhere := filepath.Join(t.TempDir(), "wal")
	check(t, os.Rename(filepath.Join(dir, "member", "wal"), elsewhere))
	if err := importer.Run(t.Context(), []string{dir}, importer.Options{Import: importer.Import{DryRun: true}}, io.Discard, io.Discard); !errors.Is(err, etcddir.ErrNoData) {
		t.Errorf("without its log: %v", err)
	}
	var report bytes.Buffer
	check(t, importer.Run(t.Context(), []string{dir}, importer.Options{Import: importer.Import{DryRun: true, WALDir: elsewhere}}, &report, io.Discard))
	if !strings.Contains(report.String(), "177, of which 19 hidden") {
		t.Error(report.String())
	}
}

func TestAFileThatCantBeUsedIsLeftNowhere(t *testing.T) {
	dir, beside := etcddirtest.Unpack(t, "etcd-2.3.8-single"), t.TempDir()
	broken := errors.New("no room")
	o := importer.Options{Beside: filepath.Join(beside, "data"), Use: func(io.Reader) error { return broken }}
	if err := importer.Run(t.Context(), []string{dir}, o, io.Discard, io.Discard); !errors.Is(err, broken) {
		t.Error(err)
	}
	if left, err := os.ReadDir(beside); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// header imports into a file, and returns its header, the number of its events, the report and the error.
func header(t *testing.T, o importer.Options, dirs ...string) (h portable.Header, events int, report string, err error) {
	t.Helper()
	o.Out, o.IndexMargin = filepath.Join(t.TempDir(), "out"), 100
	var b bytes.Buffer
	err = importer.Run(t.Context(), dirs, o, &b, io.Discard)
	f, opened := os.Open(o.Out)
	if opened != nil {
		return h, 0, b.String(), err
	}
	defer f.Close()
	in, readErr := portable.NewReader(f)
	check(t, readErr)
	for {
		it, readErr := in.Next()
		if readErr == io.EOF {
			return in.Header(), events, b.String(), err
		}
		check(t, readErr)
		if it.Event != nil {
			events++
		}
	}
}

func TestWhatIsLeftOutBehindTheCommitIsSaid(t *testing.T) {
	m1 := filepath.Join(filepath.Dir(etcddirtest.Unpack(t, "etcd-3.4.23-three")), "three", "m1")
	h, events, report, err := header(t, importer.Options{Import: importer.Import{CommittedOnly: true}}, m1)
	if !errors.Is(err, importer.ErrPartial) || !strings.Contains(report, "missing     5 entries behind the last commit") {
		t.Errorf("%v: %s", err, report)
	}
	if h.Index != 149+1_000_100 || h.Window != h.Index+1 || events > 0 {
		t.Errorf("header %+v, %d events", h, events)
	}
}

func TestADamageThatLosesNothingIsPassedOver(t *testing.T) {
	dir := etcddirtest.Unpack(t, "etcd-3.5.35-single")
	whole, _, _, err := header(t, importer.Options{}, dir)
	check(t, err)
	names, err := filepath.Glob(filepath.Join(dir, "member", "snap", "*.snap"))
	check(t, err)
	newest := names[len(names)-1]
	data, err := os.ReadFile(newest)
	check(t, err)
	data[len(data)/2] ^= 1
	check(t, os.Remove(newest))
	check(t, os.WriteFile(newest, data, 0o600))
	if _, _, _, err := header(t, importer.Options{}, dir); !errors.Is(err, etcddir.ErrDamaged) || !strings.Contains(err.Error(), "Leave this directory out") {
		t.Error(err)
	}
	h, _, report, err := header(t, importer.Options{Import: importer.Import{TakeSound: true}}, dir)
	if err != nil || h.Index != whole.Index || !strings.Contains(report, "passed over member/snap/") || strings.Contains(report, "missing") {
		t.Errorf("%v, %+v: %s", err, h, report)
	}
}
