package httpfront_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/httpfront"
)

func TestALostPasswordOfRootIsSetAnew(t *testing.T) {
	j := &journal{}
	s := serve(t, httpfront.Options{Log: slog.New(slog.NewJSONHandler(j, nil))})
	s.enable()
	file := filepath.Join(t.TempDir(), "password")
	reset := func(text string) error {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return s.server.ResetRoot(file)
	}
	if err := s.server.ResetRoot(""); err != nil {
		t.Error(err)
	}
	if got := s.as("root:pw", "GET /v2/auth/users", ""); got.status != 200 {
		t.Errorf("without a file: %+v", got)
	}
	if err := reset("found again\n"); err != nil {
		t.Fatal(err)
	}
	s.eventually(func() bool { return len(j.lines(t)) > 0 })
	if told := j.text.String(); strings.Count(told, "remove root-password-file") != 1 || strings.Count(told, `"component":`) != 1 || strings.Contains(told, "found") {
		t.Errorf("told: %s", told)
	}
	for credentials, want := range map[string]int{"root:found again": 200, "root:pw": 401, "root:found again\n": 401} {
		if got := s.as(credentials, "GET /v2/auth/users", ""); got.status != want {
			t.Errorf("%q: %+v", credentials, got)
		}
	}
	for text, want := range map[string]string{"\n": "empty", strings.Repeat("x", 73): "72 bytes"} {
		if err := reset(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	if err := s.server.ResetRoot(file + "-missing"); err == nil || !strings.Contains(err.Error(), "root-password-file") {
		t.Error(err)
	}
}
