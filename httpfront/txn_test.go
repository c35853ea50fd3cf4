package httpfront_test

import (
	"slices"
	"strings"
	"testing"

	"copse/httpfront"
	"copse/statemachine/txn"
)

func TestTransactionsOnTheWire(t *testing.T) {
	s := serve(t, httpfront.Options{})
	many := func(n int, what string) string { return "[" + strings.Repeat(what+",", n-1) + what + "]" }
	one := `{"op":"set","key":"/a","value":"1"}`
	for _, c := range []struct{ body, want string }{
		{`{"ops":[` + one + `,{"op":"create","key":"b/","dir":true,"ttl":5}]}`,
			`{"action":"set","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}` + "\n" +
				`{"action":"create","node":{"key":"/b","dir":true,"expiration":"2026-11-23T04:00:05Z","ttl":5,"modifiedIndex":5,"createdIndex":5}}`},
		{`{"compare":[{"key":"/a","value":"1","index":4},{"key":"/b","exists":true},{"key":"/c","exists":false}],"ops":[{"op":"update","key":"/a","refresh":true,"ttlMs":1500}]}`,
			`{"action":"update","node":{"key":"/a","value":"1","expiration":"2026-11-23T04:00:01.5Z","ttl":2,"modifiedIndex":6,"createdIndex":4},"prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}`},
		{`{"ops":[{"op":"compareAndSwap","key":"/a","prevValue":"1","prevIndex":6,"value":"2"},{"op":"compareAndDelete","key":"/a","prevValue":"2"}]}`,
			`{"action":"compareAndSwap","node":{"key":"/a","value":"2","modifiedIndex":7,"createdIndex":4},"prevNode":{"key":"/a","value":"1","expiration":"2026-11-23T04:00:01.5Z","ttl":2,"modifiedIndex":6,"createdIndex":4}}` + "\n" +
				`{"action":"compareAndDelete","node":{"key":"/a","modifiedIndex":8,"createdIndex":4},"prevNode":{"key":"/a","value":"2","modifiedIndex":7,"createdIndex":4}}`},
		{`{"ops":[{"op":"createInOrder","key":"/b","value":"<é>"},{"op":"rename","key":"/b","to":"/c"},{"op":"delete","key":"/c","recursive":true}]}`,
			`{"action":"create","node":{"key":"/b/00000000000000000009","value":"\u003cé\u003e","modifiedIndex":9,"createdIndex":9}}` + "\n" +
				`{"action":"create","node":{"key":"/c","dir":true,"expiration":"2026-11-23T04:00:05Z","ttl":5,"modifiedIndex":10,"createdIndex":10}}` + "\n" +
				`{"action":"create","node":{"key":"/c/00000000000000000009","value":"\u003cé\u003e","modifiedIndex":11,"createdIndex":11}}` + "\n" +
				`{"action":"delete","node":{"key":"/b","dir":true,"modifiedIndex":12,"createdIndex":5},"prevNode":{"key":"/b","dir":true,"expiration":"2026-11-23T04:00:05Z","ttl":5,"modifiedIndex":5,"createdIndex":5}}` + "\n" +
				`{"action":"delete","node":{"key":"/c","dir":true,"modifiedIndex":13,"createdIndex":10},"prevNode":{"key":"/c","dir":true,"expiration":"2026-11-23T04:00:05Z","ttl":5,"modifiedIndex":10,"createdIndex":10}}`},

		{`{"compare":[{"key":"/a","exists":true}],"ops":[` + one + `]}`, `412 101 compare[0]: /a doesn't exist`},
		{`{"ops":[` + one + `,{"op":"update","key":"/z"}]}`, `404 100 ops[1]: /z`},

		{``, `400 210 EOF`},
		{`[]`, `400 209 invalid value for "body"`},
		{`{"ops":[` + one + `]}x`, `400 210 there is more behind the JSON value`},
		{`{"ops":[` + one + `]`, `400 210 unexpected EOF`},
		{"{\"ops\":[{\"op\":\"set\",\"key\":\"/\xff\"}]}", `400 210 the body isn't UTF-8`},
		{`{}`, `400 209 "ops" is missing or empty`},
		{`{"ops":[]}`, `400 209 "ops" is missing or empty`},
		{`{"ops":{}}`, `400 209 "compare" and "ops" are lists`},
		{`{"ops":` + many(txn.Limit+1, one) + `}`, `400 209 more than 128 compares or operations`},
		{`{"compare":` + many(txn.Limit+1, `{"key":"/a","exists":true}`) + `,"ops":[` + one + `]}`, `400 209 more than 128 compares or operations`},
		{`{"op":[]}`, `400 209 unknown field "op"`},
		{`{"ops":[{"op":"set","key":"/a","valu":"1"}]}`, `400 209 unknown field "valu"`},
		{`{"ops":[{"op":"get","key":"/a"}]}`, `400 209 ops[0]: invalid value for "op"`},
		{`{"ops":[{"op":"set"}]}`, `400 209 ops[0]: "key" is missing`},
		{`{"ops":[` + one + `,{"op":"set","key":""}]}`, `400 209 ops[1]: "key" is missing`},
		{`{"ops":[{"op":"set","key":"` + strings.Repeat("/a", 4096) + `"}]}`, `400 209 ops[0]: "key" is too long or too deep`},
		{`{"ops":[{"op":"set","key":"/a","value":1}]}`, `400 209 invalid value for "value"`},
		{`{"ops":[{"op":"set","key":"/a","ttl":-1}]}`, `400 202 invalid value for "ttl"`},
		{`{"ops":[{"op":"set","key":"/a","ttl":1e30}]}`, `400 202 invalid value for "ttl"`},
		{`{"ops":[{"op":"set","key":"/a","ttl":18446744073709551615}]}`, `400 202 ops[0]: invalid value for "ttl"`},
		{`{"ops":[{"op":"set","key":"/a","ttlMs":18446744073709551615}]}`, `400 209 ops[0]: invalid value for "ttlMs"`},
		{`{"ops":[{"op":"set","key":"/a","ttl":1,"ttlMs":1}]}`, `400 209 ops[0]: "ttl" and "ttlMs" can't be used together`},
		{`{"ops":[{"op":"set","key":"/a","prevValue":"1"}]}`, `400 209 ops[0]: "prevValue" has no meaning for "set"`},
		{`{"ops":[{"op":"delete","key":"/a","ttl":1}]}`, `400 209 ops[0]: "ttl" has no meaning for "delete"`},
		{`{"ops":[{"op":"set","key":"/a","refresh":true,"ttl":1,"value":"1"}]}`, `400 211 ops[0]: A value was provided on a refresh`},
		{`{"ops":[{"op":"set","key":"/a","refresh":true}]}`, `400 212 ops[0]: No TTL value set`},
		{`{"ops":[{"op":"compareAndSwap","key":"/a"}]}`, `400 209 ops[0]: "prevValue" or "prevIndex" is needed`},
		{`{"ops":[{"op":"compareAndSwap","key":"/a","prevValue":""}]}`, `400 201 ops[0]: "prevValue" cannot be empty`},
		{`{"ops":[{"op":"compareAndDelete","key":"/a","prevIndex":0}]}`, `400 203 ops[0]: invalid value for "prevIndex"`},
		{`{"ops":[{"op":"compareAndDelete","key":"/a","prevIndex":"1"}]}`, `400 203 invalid value for "prevIndex"`},
		{`{"ops":[{"op":"set","key":"/a","value64":"/w="}]}`, `400 209 ops[0]: invalid value for "value64"`},
		{`{"ops":[{"op":"set","key":"/a","value64":"","value":""}]}`, `400 209 ops[0]: "value" and "value64" can't be used together`},
		{`{"ops":[{"op":"delete","key":"/a","value64":""}]}`, `400 209 ops[0]: "value64" has no meaning for "delete"`},
		{`{"ops":[{"op":"set","key":"/a","prevValue64":""}]}`, `400 209 ops[0]: "prevValue64" has no meaning for "set"`},
		{`{"ops":[{"op":"compareAndDelete","key":"/a","prevValue64":""}]}`, `400 201 ops[0]: "prevValue" cannot be empty`},
		{`{"compare":[{"key":"/a","value64":"x"}],"ops":[` + one + `]}`, `400 209 compare[0]: invalid value for "value64"`},
		{`{"ops":[{"op":"createInOrder","key":"/"}]}`, `400 209 ops[0]: "createInOrder" in the root is not possible here: its name decides about its shard`},
		{`{"ops":[{"op":"copy","key":"/a"}]}`, `400 209 ops[0]: "to" is missing`},
		{`{"ops":[{"op":"copy","key":"/a","to":"a"}]}`, `400 209 ops[0]: "to" is "key", or below it`},
		{`{"ops":[{"op":"rename","key":"/a","to":"/a/b"}]}`, `400 209 ops[0]: "to" is "key", or below it`},
		{`{"compare":[{"key":"/a"}],"ops":[` + one + `]}`, `400 209 compare[0]: one of "value", "index" and "exists" is needed`},
		{`{"compare":[{"key":"/a","exists":false,"value":"1"}],"ops":[` + one + `]}`, `400 209 compare[0]: what doesn't exist has neither "value" nor "index"`},
		{`{"compare":[{"key":"/a","index":0}],"ops":[` + one + `]}`, `400 203 compare[0]: invalid value for "index"`},
	} {
		got := s.as("", "POST /v2/copse/txn", c.body)
		short := strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(got.body, "\n,{", "\n{"), `{"results":[`), "\n]}\n")
		short = strings.TrimSpace(short)
		if code, rest, failed := strings.Cut(short, `,"message":`); failed {
			_, cause, _ := strings.Cut(rest, `"cause":"`)
			cause, _, _ = strings.Cut(cause, `","index":`)
			short = itoa(got.status) + " " + strings.TrimPrefix(code, `{"errorCode":`) + " " + strings.ReplaceAll(cause, `\"`, `"`)
		}
		if short != c.want || got.kind != jsonT {
			t.Errorf("%.200s\n got %s\nwant %s", c.body, short, c.want)
		}
	}
	if got := s.as("", "PUT /v2/copse/txn", one); got.status != 405 || got.allow != "POST" {
		t.Errorf("PUT: %+v", got)
	}
}

// TestWhoMayDoWhatInATransaction has users who may read and write different keys; see enable.
func TestWhoMayDoWhatInATransaction(t *testing.T) {
	s := serve(t, httpfront.Options{})
	s.enable()
	for _, key := range []string{"r/a", "w/a"} {
		s.as("root:pw", "PUT /v2/keys/"+key, "value=1")
	}
	set := `{"op":"set","key":"/w/b"}`
	for body, may := range map[string][]string{
		`{"ops":[` + set + `]}`:                                                    {"u:p"},
		`{"ops":[` + set + `,{"op":"set","key":"/r/b"}]}`:                          {},
		`{"ops":[{"op":"delete","key":"/w","recursive":true}]}`:                    {},
		`{"ops":[{"op":"delete","key":"/w/d","recursive":true}]}`:                  {"u:p"},
		`{"compare":[{"key":"/r/a","exists":true}],"ops":[` + set + `]}`:           {"u:p"},
		`{"compare":[{"key":"/w/a","exists":true}],"ops":[` + set + `]}`:           {},
		`{"ops":[{"op":"copy","key":"/r/a","to":"/w/c"}]}`:                         {"u:p"},
		`{"ops":[{"op":"copy","key":"/r/a","to":"/r/c"}]}`:                         {},
		`{"ops":[{"op":"copy","key":"/w/a","to":"/w/c"}]}`:                         {},
		`{"ops":[{"op":"rename","key":"/r/a","to":"/w/c"}]}`:                       {},
		`{"ops":[{"op":"rename","key":"/w/a","to":"/w/c"}]}`:                       {},
		`{"ops":[{"op":"set","key":"/g/x"}]}`:                                      {"", "g:p"},
		`{"compare":[{"key":"/g","value":"x"}],"ops":[{"op":"set","key":"/g/x"}]}`: {"", "g:p"},
	} {
		for _, credentials := range []string{"", "g:p", "u:p", "n:p", "u:wrong", "root:pw"} {
			may := credentials == "root:pw" || slices.Contains(may, credentials)
			if got := s.as(credentials, "POST /v2/copse/txn", body); may == (got.status == 401) {
				t.Errorf("%s by %q: %+v", body, credentials, got)
			}
		}
	}
}
