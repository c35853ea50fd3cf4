package logging_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"copse/config/logging"
)

// stalled is a log that nobody reads until it is released.
type stalled struct {
	strings.Builder
	released chan struct{}
}

func (s *stalled) Write(p []byte) (int, error) {
	<-s.released
	return s.Builder.Write(p)
}

func TestWhoLogsWaitsForNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const said, size = 3000, 1000
		out := &stalled{released: make(chan struct{})}
		log, _, end := logging.New("text", slog.LevelInfo, out)
		log.Info("first")
		synctest.Wait() // it is being written
		for i := range said {
			log.Info("said", "i", i, "text", strings.Repeat("x", size))
		}
		log.Debug("never said")
		log.Error("why it ends")
		began := time.Now()
		end()
		if took := time.Since(began); took != time.Second {
			t.Errorf("the end took %v, while nobody read", took)
		}
		close(out.released)
		synctest.Wait()
		end() // at once, and all is there
		got := out.String()
		n := strings.Count(got, "msg=said")
		if !strings.Contains(got, "why it ends") {
			t.Error("the last line was left out")
		}
		if n == 0 || n == said || !strings.HasPrefix(got, "time=") || strings.Contains(got, "never") {
			t.Errorf("%d lines of %d", n, said)
		}
		if _, left, _ := strings.Cut(got, "left out\" component=main lines="); left == "" {
			t.Errorf("nothing says how many are missing: %q", got[len(got)-200:])
		}
		if time.Since(began) != time.Second {
			t.Error("the second end waited")
		}
	})
}

func TestTheEndWritesWhatWaits(t *testing.T) {
	var out strings.Builder
	log, level, end := logging.New("json", slog.LevelWarn, &out)
	level.Set(slog.LevelInfo)
	for i := range 100 {
		log.Info("said", "i", i)
	}
	end()
	if got := out.String(); strings.Count(got, `"msg":"said"`) != 100 || !strings.HasSuffix(got, "\"i\":99}\n") {
		t.Error(got)
	}
}

func TestAddressesAndDurationsAreReadable(t *testing.T) {
	for format, want := range map[string]string{"json": `"from":"10.0.0.1:80","at":"a socket","held_s":1.25}`, "text": `from=10.0.0.1:80 at="a socket" held_s=1.25`} {
		var out strings.Builder
		log, _, end := logging.New(format, slog.LevelInfo, &out)
		log.Info("said", "from", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, "at", &net.UnixAddr{Name: "a socket"}, "held", 1250*time.Millisecond)
		end()
		if got := out.String(); !strings.HasSuffix(got, want+"\n") {
			t.Errorf("%s has no %s", got, want)
		}
	}
}
