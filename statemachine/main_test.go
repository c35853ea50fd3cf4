package statemachine_test

import (
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
	goleak.VerifyTestMain(m)
}
