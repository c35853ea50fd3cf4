package logging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"copse/config/logging"
)

func TestAFloodIsOneLineOfEachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		s := logging.NewSeldom(slog.New(slog.NewTextHandler(&b, nil)))
		for range 1000 {
			for _, reason := range []string{
				"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-29T18:00:00Z is after 2026-11-29T17:59:00Z",
				"tls: failed to verify certificate: x509: certificate signed by unknown authority",
				"remote error: tls: bad certificate", "remote error: tls: unknown certificate authority",
				"something new", "something newer",
			} {
				s.Warn(logging.HandshakeKind(reason), "refused", "reason", reason)
			}
		}
		if n := strings.Count(b.String(), "msg=refused"); n != 5 {
			t.Errorf("%d lines, want 5:\n%s", n, &b)
		}
		time.Sleep(time.Minute)
		b.Reset()
		s.Warn("other", "refused")
		if !strings.Contains(b.String(), "unlogged=1999") {
			t.Errorf("the next line is %q", b.String())
		}
	})
}
