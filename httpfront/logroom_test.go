package httpfront

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLinesThatFindNoRoomAreCounted(t *testing.T) {
	var out strings.Builder
	w := newLogWriter()
	log := w.logger(slog.New(slog.NewTextHandler(&out, nil))).With("component", "http").WithGroup("g")
	for i := range logRoom + 7 {
		log.Info("said", "i", i)
	}
	log.Debug("never said")
	if err := w.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if n := strings.Count(got, "msg=said component=http g.i="); n != logRoom {
		t.Errorf("%d lines of %d", n, logRoom)
	}
	if !strings.Contains(got, "left out\" component=http g.lines=7\n") || strings.Contains(got, "never") {
		t.Errorf("got %s", got)
	}
}
