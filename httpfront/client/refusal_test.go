package client

import (
	"net/http"
	"testing"
)

func TestARefusalIsToldToPeople(t *testing.T) {
	for _, test := range []struct {
		code       int
		body, want string
	}{
		{401, `{"message":"Insufficient credentials"}`, "401 Unauthorized: Insufficient credentials; give root's password by --password-file or COPSE_ROOT_PASSWORD"},
		{500, `{"errorCode":300,"message":"Raft Internal Error","cause":"no room"}`, "500 Internal Server Error: Raft Internal Error no room"},
		{404, "404 page not found\n", `404 Not Found: "404 page not found"`},
		{502, `{"error":"no upstream"}`, `502 Bad Gateway: "{\"error\":\"no upstream\"}"`},
		{503, "", "503 Service Unavailable"},
	} {
		response := &http.Response{StatusCode: test.code, Status: http.StatusText(test.code)}
		response.Status = test.want[:4] + response.Status
		if got := refusal(response, []byte(test.body)).Error(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
