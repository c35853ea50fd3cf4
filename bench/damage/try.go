package damage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	"copse/bench/peer"
)

// Verdict is how a start on a damaged directory has ended.
type Verdict int

const (
	Wrong   Verdict = iota // neither of the others
	Served                 // all that was acknowledged, and nothing else
	Refused                // exit code 5, with one line
)

// patience is how long a start may take. It is only there so that a run ends.
const patience = time.Minute

const exitDamaged = 5

// Try starts the sample's server on the copy in dir, whose data may be damaged. What it
// returns besides Wrong says what was wrong, or why the start was refused.
func (s *Sample) Try(kind peer.Kind, dir string, place peer.Place, shards int) (Verdict, string) {
	node, err := peer.Prepare(kind, peer.Options{Dir: dir, Args: s.Args}, place)
	if err != nil {
		return Wrong, err.Error()
	}
	if err := node.Relaunch(); err != nil {
		return Wrong, err.Error()
	}
	defer node.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	served, err := s.served(ctx, node, shards)
	if err == nil {
		if diff := s.Truth.Differs(&served); diff != "" {
			return Wrong, "it serves what was not acknowledged: " + diff
		}
		return Served, ""
	}
	select {
	case <-node.Done():
	case <-ctx.Done():
		return Wrong, fmt.Sprintf("it neither serves nor ends: %v", err)
	}
	why, ok := Ended(node, exitDamaged)
	if !ok {
		return Wrong, why
	}
	return Refused, why
}

// served waits until the server answers, and reads what it has.
func (s *Sample) served(ctx context.Context, node *peer.Server, shards int) (Truth, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if err := node.WaitServing(ctx); err != nil {
		return Truth{}, err
	}
	return Read(ctx, client, node.URL, shards)
}

// Ended judges how a server has ended: with this exit code, and one line that says why,
// which is returned. Otherwise ok is false.
func Ended(node *peer.Server, code int) (why string, ok bool) {
	log, err := os.ReadFile(node.LogFile)
	if err != nil {
		return err.Error(), false
	}
	var reasons []string
	for line := range bytes.Lines(log) {
		var entry struct{ Level, Msg, Err string }
		if json.Unmarshal(line, &entry) != nil {
			return fmt.Sprintf("it ended with %v, and its log isn't lines of JSON: %.3000s", node.Exit(), log), false
		}
		if entry.Level == "ERROR" {
			reasons = append(reasons, entry.Msg+": "+entry.Err)
		}
	}
	if exitCode(node.Exit()) != code || len(reasons) != 1 {
		return fmt.Sprintf("it ended with %v and %d reasons: %s", node.Exit(), len(reasons), log), false
	}
	return reasons[0], true
}

// exitCode is 0 for none, and -1 for a signal.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
