package httpfront_test

import (
	"encoding/json"
	"strings"
	"testing"

	"copse/httpfront"
	"copse/statemachine/auth"
)

// Whatever the body of a user or role is, the answer is JSON with a known status, and what
// was created can be read.
func FuzzAuthBody(f *testing.F) {
	for _, body := range []string{
		"", "null", "{", `{"user":"u","role":"u"}`, `{"USER":"u","roles":["r","r"]}`, `{"user":"u","grant":["r"],"revoke":["r"]}`,
		`{"role":"u","permissions":{"kv":{"read":["/*"],"write":null}}}`, `{"role":"u","grant":{"kv":{"write":[""]}}}`, `{"user":"u","role":1} x`, "\"\xff\"",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(strings.ToLower(body), "password") {
			t.Skip("hashing takes longer than it is worth")
		}
		s := serve(t, httpfront.Options{})
		s.backend.setAuth(auth.NewState(false, []*auth.User{{Name: "u"}}, nil))
		for _, what := range []string{"users", "roles"} {
			got := s.as("", "PUT /v2/auth/"+what+"/u", body)
			switch got.status {
			case 200, 201, 400, 404, 409:
			default:
				t.Errorf("%s: %+v", what, got)
			}
			again := s.as("", "GET /v2/auth/"+what+"/", "")
			if !json.Valid([]byte(got.body)) || !json.Valid([]byte(again.body)) || again.status != 200 {
				t.Errorf("%s: %+v, then %+v", what, got, again)
			}
		}
	})
}
