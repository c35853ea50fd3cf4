package httpfront_test

import (
	"testing"

	"copse/httpfront"
)

// TestValuesInBase64OnTheWire has a value that isn't UTF-8 come back in each kind of answer: one's own, and one
// of a mirror, whose source has base64 in it already.
func TestValuesInBase64OnTheWire(t *testing.T) {
	testValuesInBase64(t, serve(t, httpfront.Options{}))
	s := serve(t, httpfront.Options{})
	s.backend.in64 = true
	testValuesInBase64(t, s)
}

func testValuesInBase64(t *testing.T, s *site) {
	t.Helper()
	for _, c := range []struct{ request, body, want string }{
		{"PUT /v2/keys/b?encoding=base64", "value=%ff%00x", `{"action":"set","node":{"key":"/b","value64":"/wB4","modifiedIndex":4,"createdIndex":4}}`},
		{"PUT /v2/keys/b", "value64=/wF5&encoding=base64", `{"action":"set","node":{"key":"/b","value64":"/wF5","modifiedIndex":5,"createdIndex":5},"prevNode":{"key":"/b","value64":"/wB4","modifiedIndex":4,"createdIndex":4}}`},
		{"PUT /v2/keys/b?prevIndex=5", "value=<&encoding=base64", `{"action":"compareAndSwap","node":{"key":"/b","value64":"PA==","modifiedIndex":6,"createdIndex":5},"prevNode":{"key":"/b","value64":"/wF5","modifiedIndex":5,"createdIndex":5}}`},
		{"GET /v2/keys/b?encoding=base64", "", `{"action":"get","node":{"key":"/b","value64":"PA==","modifiedIndex":6,"createdIndex":5}}`},
		{"GET /v2/keys/b?encoding=base64&quorum=true", "", `{"action":"get","node":{"key":"/b","value64":"PA==","modifiedIndex":6,"createdIndex":5}}`},
		{"GET /v2/keys/b", "", `{"action":"get","node":{"key":"/b","value":"\u003c","modifiedIndex":6,"createdIndex":5}}`},
		{"GET /v2/keys/?encoding=base64", "", `{"action":"get","node":{"dir":true,"nodes":[{"key":"/b","value64":"PA==","modifiedIndex":6,"createdIndex":5}]}}`},
		{"GET /v2/keys/b?encoding=base64&keysOnly=true", "", `{"action":"get","node":{"key":"/b","modifiedIndex":6,"createdIndex":5},"atIndex":0}`},
		{"POST /v2/keys/q?encoding=base64", "value64=", `{"action":"create","node":{"key":"/q/00000000000000000007","value64":"","modifiedIndex":7,"createdIndex":7}}`},
		{"DELETE /v2/keys/b?encoding=base64", "", `{"action":"delete","node":{"key":"/b","modifiedIndex":8,"createdIndex":5},"prevNode":{"key":"/b","value64":"PA==","modifiedIndex":6,"createdIndex":5}}`},
		{"PUT /v2/keys/b?encoding=base64&noValueOnSuccess=1", "value=x", `{"action":"set"}`},
		{"PUT /v2/keys/b?encoding=base32", "value=x", `{"errorCode":209,"message":"Invalid field","cause":"invalid value for \"encoding\"","index":0}`},
		{"GET /v2/keys/b?encoding=", "", `{"errorCode":209,"message":"Invalid field","cause":"invalid value for \"encoding\"","index":0}`},
		{"GET /v2/keys/b?encoding=base64&raw=true", "", `{"errorCode":209,"message":"Invalid field","cause":"\"raw\" and \"encoding\" can't be used together","index":0}`},
		{"PUT /v2/keys/b", "value64=/w=", `{"errorCode":209,"message":"Invalid field","cause":"invalid value for \"value64\"","index":0}`},
		{"PUT /v2/keys/b", "value64=&value=", `{"errorCode":209,"message":"Invalid field","cause":"\"value\" and \"value64\" can't be used together","index":0}`},
		{"PUT /v2/keys/b", "value64=eA==&refresh=1&ttl=5", `{"errorCode":211,"message":"Value provided on refresh","cause":"A value was provided on a refresh","index":0}`},
		{"POST /v2/copse/txn?encoding=base64", `{"compare":[{"key":"/b","value64":"eA=="}],"ops":[{"op":"compareAndSwap","key":"/b","prevValue64":"eA==","value64":"/w=="},{"op":"set","key":"/b","value":"y"}]}`,
			`{"results":[{"action":"compareAndSwap","node":{"key":"/b","value64":"/w==","modifiedIndex":10,"createdIndex":9},"prevNode":{"key":"/b","value64":"eA==","modifiedIndex":9,"createdIndex":9}}` + "\n" +
				`,{"action":"set","node":{"key":"/b","value64":"eQ==","modifiedIndex":11,"createdIndex":11},"prevNode":{"key":"/b","value64":"/w==","modifiedIndex":10,"createdIndex":9}}` + "\n]}"},
		{"POST /v2/copse/txn?noValueOnSuccess=true", `{"ops":[{"op":"set","key":"/b","value":"]}{\"action\":\""},{"op":"createInOrder","key":"/q"},{"op":"delete","key":"/b"}]}`,
			`{"results":[{"action":"set"}` + "\n" + `,{"action":"create"}` + "\n" +
				`,{"action":"delete","node":{"key":"/b","modifiedIndex":14,"createdIndex":12},"prevNode":{"key":"/b","value":"]}{\"action\":\"","modifiedIndex":12,"createdIndex":12}}` + "\n]}"},
		{"POST /v2/copse/txn?noValueOnSuccess=maybe", `{"ops":[{"op":"set","key":"/b"}]}`, `{"errorCode":209,"message":"Invalid field","cause":"invalid value for \"noValueOnSuccess\"","index":0}`},
	} {
		if got := s.as("", c.request, c.body); got.body != c.want+"\n" {
			t.Errorf("%s %s\n got %s\nwant %s", c.request, c.body, got.body, c.want)
		}
	}
}
