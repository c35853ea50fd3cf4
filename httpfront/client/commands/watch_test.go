package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// cancels ends a context when something is printed.
type cancels struct{ cancel context.CancelFunc }

func (c cancels) Write(p []byte) (int, error) { c.cancel(); return len(p), nil }

func TestAnInterruptedExecWatchEndsItsCommand(t *testing.T) {
	server, _ := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"action":"set","node":{"key":"/k","value":"v","modifiedIndex":3}}`)
	})
	for _, script := range []string{"trap '' INT; echo; while :; do sleep 0.02; done", "echo; exec sleep 60"} {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := v2.New(v2.Options{Endpoints: []string{server}, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		tool := &tool{Streams: Streams{Out: io.Writer(cancels{cancel}), Err: &errs}, client: c, killDelay: 100 * time.Millisecond}
		err = tool.execWatch(ctx, &cli.ExecWatch{Words: []string{"/k", "--", "sh", "-c", script}})
		if code := tool.report(err); ctx.Err() == nil || code != 0 || strings.TrimSpace(errs.String()) != "" {
			t.Errorf("%s: exit code %d, %v\n%s", script, code, err, &errs)
		}
		cancel()
		c.Close()
	}
}
