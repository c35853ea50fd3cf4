package statemachine_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if plan := os.Getenv(faultPlanEnv); plan != "" {
		os.Exit(runFaulty(plan))
	}
	if plan := os.Getenv(killedStoreEnv); plan != "" {
		os.Exit(runKilled(plan))
	}
	if raceDetector {
		_ = flag.Set("rapid.checks", "20") // most of them have one goroutine
	}
	goleak.VerifyTestMain(m)
}
