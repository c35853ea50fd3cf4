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
	"copse/statemachine/dump"
	"copse/statemachine/portable"
)

// takeDump imports a file with that content, and returns what was written.
func takeDump(t *testing.T, text string, change func(*importer.Options)) (lines []string, h portable.Header, report string, err error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "dump")
	check(t, os.WriteFile(name, []byte(text), 0o600))
	o := options(filepath.Join(t.TempDir(), "out"))
	change(&o)
	var b bytes.Buffer
	err = importer.Run(t.Context(), []string{name}, o, &b, io.Discard)
	f, opened := os.Open(o.Out)
	if opened != nil {
		return nil, h, b.String(), err
	}
	defer f.Close()
	in, readErr := portable.NewReader(f)
	check(t, readErr)
	for {
		it, readErr := in.Next()
		if readErr == io.EOF {
			return lines, in.Header(), b.String(), err
		}
		check(t, readErr)
		lines = append(lines, it.Node.Key+"="+string(it.Node.Value))
	}
}

func TestDumpsAreTakenOver(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nX-Etcd-Cluster-Id: cdf818194e3a8c32\r\nX-Etcd-Index: 12\r\nX-Raft-Term: 3\r\n\r\n"
	const answer = `{"action":"get","node":{"dir":true,"nodes":[{"key":"/a","value":"v","modifiedIndex":9,"createdIndex":7}]}}`
	for name, c := range map[string]struct {
		text   string
		format string
		nodes  string
		index  uint64 // with which the source ends
		report []string
	}{
		"a list":                   {`[{"key":"/a/b","value":"v"}]`, "", "/a= /a/b=v", 1, []string{"a flat list\n", "which the source doesn't say", "createdIndex and modifiedIndex are new", "1 directories aren't in the file"}},
		"a map":                    {`{"a":{"b":"v"}}`, "", "/a= /a/b=v", 2, []string{"a nested map\n", "are new"}},
		"a map that looks like v2": {`{"action":"v"}`, "map", "/action=v", 1, []string{"a nested map\n"}},
		"an answer":                {answer, "", "/a=v", 9, []string{"an answer of etcd\n", "X-Etcd-Index would tell", "no hidden nodes"}},
		"an answer with headers":   {head + answer, "", "/a=v", 12, []string{"id cdf818194e3a8c32, version", "term        3\n"}},
	} {
		lines, h, report, err := takeDump(t, c.text, func(o *importer.Options) { o.Format = c.format })
		if err != nil || strings.Join(lines, " ") != c.nodes || uint64(h.Index) != c.index+1_000_100 || h.Window != h.Index+1 || h.ClusterID == 0 {
			t.Errorf("%s: %v %q %+v", name, err, lines, h)
		}
		for _, want := range append(c.report, "events      none: watchers start anew") {
			if !strings.Contains(report, want) {
				t.Errorf("%s: no %q in\n%s", name, want, report)
			}
		}
	}
}

func TestChangedKeysAreMissing(t *testing.T) {
	lines, _, report, err := takeDump(t, `{"a\ufffd":"v"}`, func(*importer.Options) {})
	if !errors.Is(err, importer.ErrPartial) || len(lines) != 1 || !strings.Contains(report, "missing     the true names of 1 keys") {
		t.Errorf("%v %q\n%s", err, lines, report)
	}
	e := newEtcd(t)
	e.root = `{"key":"/bin\ufffd","value":"v","modifiedIndex":5,"createdIndex":4}`
	if report, err := take(t, func(*importer.Options) {}, e); !errors.Is(err, importer.ErrPartial) || !strings.Contains(report, "missing     the true names of 1 keys") {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestABadDumpLeavesNothing(t *testing.T) {
	for text, want := range map[string]error{`{"a":1}`: dump.ErrForm, "\x1f\x8b": importer.ErrUsage, `[{"key":"/a","value":"v"}`: dump.ErrForm} {
		lines, _, report, err := takeDump(t, text, func(*importer.Options) {})
		if !errors.Is(err, want) || lines != nil || report != "" {
			t.Errorf("%q: %v, %q, %s", text, err, lines, report)
		}
	}
	if _, _, _, err := takeDump(t, `{"a":"v"}`, func(o *importer.Options) { o.ClusterID = 7 }); err != nil {
		t.Error(err)
	}
	if err := importer.Run(t.Context(), []string{"a", "b"}, importer.Options{Import: importer.Import{Format: "list"}}, io.Discard, io.Discard); !errors.Is(err, importer.ErrUsage) {
		t.Error(err)
	}
}
