package raft

import (
	"testing"

	"copse/statemachine/metric"
)

func TestSamplesBecomeFamilies(t *testing.T) {
	var w metric.Writer
	describe(&w, []byte("b_total{x=\"1\"} 1\na 2\nb_total{x=\"0\"} 3\n"))
	want := `# HELP a As dragonboat counts it.
# TYPE a gauge
a 2
# HELP b_total As dragonboat counts it.
# TYPE b_total counter
b_total{x="0"} 3
b_total{x="1"} 1
`
	if got := string(w.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
