package httpfront_test

import (
	"testing"

	"copse/httpfront"
)

func TestAPromotionSaysWhatIsWrong(t *testing.T) {
	s := serve(t, httpfront.Options{})
	for _, tt := range []struct {
		query, want string
		code        int
	}{
		{"hold=3s&margin=100", `{"message":"this cluster is no mirror"}`, 409},
		{"hold=3s&margin=100&force=true", "{\"held\":\"3s\",\"margin\":100}\n", 200},
		{"hold=3s", `{"message":"hold must be a duration up to a minute, and margin a number"}`, 400},
		{"hold=0s&margin=1", `{"message":"hold must be a duration up to a minute, and margin a number"}`, 400},
		{"hold=1h&margin=1", `{"message":"hold must be a duration up to a minute, and margin a number"}`, 400},
	} {
		if got := s.call("POST", "/v2/copse/mirror/promote?"+tt.query, ""); got.status != tt.code || got.body != tt.want {
			t.Errorf("%s: %+v, want %d %q", tt.query, got, tt.code, tt.want)
		}
	}
}
