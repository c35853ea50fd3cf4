package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// dockerLimit is for one command of the Docker client; the longest is the build.
const dockerLimit = 30 * time.Minute

// needDocker ends a test where no engine answers: it is skipped there, and fails
// where COPSE_REQUIRE_DOCKER says that there has to be one.
func needDocker(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	_, err := try(ctx, "docker", "info", "--format", "{{.ServerVersion}}")
	switch {
	case err == nil:
	case os.Getenv("COPSE_REQUIRE_DOCKER") != "":
		t.Fatalf("COPSE_REQUIRE_DOCKER is set, but no Docker engine answers: %v", err)
	default:
		t.Skipf("NOT TESTED: no Docker engine answers: %v", err)
	}
}

// docker runs the client and returns its output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), "docker", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// forget runs a command of the client that takes something away, also when the
// test has ended.
func forget(t *testing.T, args ...string) {
	t.Helper()
	if _, err := try(context.Background(), "docker", args...); err != nil {
		t.Error(err)
	}
}

// try runs a program; its error contains the program's output.
func try(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	return output(exec.CommandContext(ctx, name, args...))
}

func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if err != nil {
		said := out
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			said = append(said, exit.Stderr...)
		}
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(said)))
	}
	return strings.TrimSpace(string(out)), err
}

// await looks at a condition until it holds.
func await(t *testing.T, what string, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}
