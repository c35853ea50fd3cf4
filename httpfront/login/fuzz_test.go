package login

import (
	"net/http"
	"strings"
	"testing"
)

// The header is read as Go's library reads it, and so etcd.
func FuzzHeader(f *testing.F) {
	for _, header := range []string{
		"", "Basic dTpw", "basic dTpwOnc=", "Basic  dTpw", "Basic dTpw ", "Bearer dTpw", "Basic dXA=", "Basic Og==", "Basic dTpw=", "Basic dTp\n", "Basic dTpx", "BASIC /+8=",
	} {
		f.Add(header)
	}
	room := make([]byte, 3)
	f.Fuzz(func(t *testing.T, header string) {
		header = strings.Trim(header, " \t")
		r := http.Request{Header: http.Header{"Authorization": {header}}}
		wantName, wantPassword, wantOK := r.BasicAuth()
		name, password, ok := parseBasic([]byte(header), &room)
		if name != wantName || string(password) != wantPassword || ok != wantOK {
			t.Errorf("%q: got %q, %q, %v want %q, %q, %v", header, name, password, ok, wantName, wantPassword, wantOK)
		}
	})
}
