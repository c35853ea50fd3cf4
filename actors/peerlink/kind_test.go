package peerlink

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
)

// What a failed handshake means for members takes nothing from its kind.
func TestTheKindOfWhatIsExplained(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{x509.UnknownAuthorityError{}, "unknown authority"},
		{errors.New("remote error: tls: bad certificate"), "tls: bad certificate"},
		{errors.New("remote error: tls: expired certificate"), "tls: expired certificate"},
	} {
		for _, err := range []error{explain(test.err), fmt.Errorf("dial: %w", explain(test.err))} {
			if got := kindOf(err); got != test.want {
				t.Errorf("%v is %q, want %q", err, got, test.want)
			}
		}
	}
}
