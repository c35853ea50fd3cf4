package actors

import (
	"errors"
	"testing"
)

func TestProbesDoNotSpeakForEtcd(t *testing.T) {
	if got := forPeople(errors.New("300: x (etcdserver: request timed out) [0]")); got != "300: x (request timed out) [0]" {
		t.Error(got)
	}
}
