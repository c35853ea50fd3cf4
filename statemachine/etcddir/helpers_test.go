package etcddir_test

import (
	"strconv"
	"testing"

	"copse/statemachine/tree"
)

func formatID(id uint64) string { return strconv.FormatUint(id, 16) }

func parseIndex(t *testing.T, text string) tree.Index {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return tree.Index(n)
}
