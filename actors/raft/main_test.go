package raft

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if plan := os.Getenv(faultPlanEnv); plan != "" {
		os.Exit(runFaulty(plan))
	}
	goleak.VerifyTestMain(m)
}
