package actors_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Tests that mostly wait until requests without a quorum are refused are parallel.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
