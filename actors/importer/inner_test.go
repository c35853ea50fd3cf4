package importer

import (
	"bytes"
	"strings"
	"testing"

	"copse/statemachine/etcddir"
	"copse/statemachine/tree"
)

func TestTheWindowIsBounded(t *testing.T) {
	l := &live{window: etcddir.Window{Start: 1}}
	for i := range tree.Index(3 * windowLimit) {
		l.keep(&tree.Event{Action: tree.ActionSet, Node: tree.Node{Key: "/a", Modified: i + 1}})
		w := &l.window
		if len(w.Events) > windowLimit || w.Start != w.Events[0].Index() || w.Events[len(w.Events)-1].Index() != i+1 {
			t.Fatalf("%d events from %d on, after %d", len(w.Events), w.Start, i+1)
		}
	}
}

func TestAnswersAreProgress(t *testing.T) {
	var none *progress
	none.answer()
	none.end()
	var b bytes.Buffer
	p := &progress{terminal: &b}
	for range answerStep - 1 {
		p.answer()
	}
	if p.end(); b.Len() > 0 {
		t.Errorf("after a few: %q", b.String())
	}
	p.answer()
	p.count(3 << 20)
	if p.answer(); b.String() != "\rread 0 MiB in 10 answers" {
		t.Errorf("%q", b.String())
	}
	p.count(1 << 20)
	if p.end(); !strings.HasSuffix(b.String(), "\rread 4 MiB in 11 answers\r\x1b[K") {
		t.Errorf("%q", b.String())
	}
}
