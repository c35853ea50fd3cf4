package httpfront_test

import (
	"strings"
	"testing"

	"copse/httpfront"
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

func TestHistoryIsOfWhatMayBeRead(t *testing.T) {
	s := serve(t, httpfront.Options{})
	invalid := func(cause string) answer {
		return answer{400, "", jsonT, string(tree.AppendError(nil, &tree.Error{Code: tree.CodeInvalidField, Cause: cause}))}
	}
	for query, want := range map[string]answer{
		"":                        ok(200, `{"names":["/a" "/b" "/c" "/d" "/e"]}`),
		"?limit=2":                ok(200, `{"names":["/a" "/b"]}`),
		"?limit=2&after=/b":       ok(200, `{"names":["/c" "/d"]}`),
		"?limit=10000&after=%2Fd": ok(200, `{"names":["/e"]}`),
		"?limit=0":                invalid(`invalid value for "limit"`),
		"?limit=10001":            invalid(`invalid value for "limit"`),
		"?limit=two":              invalid(`invalid value for "limit"`),
		"?limit=":                 invalid(`invalid value for "limit"`),
		"?limit=1&after=b":        invalid(`"after" must be a key in the root`),
		"?after=":                 invalid(`"after" must be a key in the root`),
		"?after=/":                invalid(`"after" must be a key in the root`),
		"?after=/a/b":             invalid(`"after" must be a key in the root`),
		"?after=/a/":              invalid(`"after" must be a key in the root`),
		"?nothing=1":              ok(200, `{"names":["/a" "/b" "/c" "/d" "/e"]}`),
	} {
		if got := s.as("", "GET /v2/copse/history"+query, ""); strings.TrimSpace(got.body) != strings.TrimSpace(want.body) || got.status != want.status {
			t.Errorf("%s:\n%+v, want\n%+v", query, got, want)
		}
	}
	s.backend.setAuth(auth.NewState(true, []*auth.User{user(t, "n", "p"), user(t, "root", "pw", "root"), user(t, "admin", "p", "root")},
		[]*auth.Role{role("guest", []string{"/a", "/b/*", "/c*", "/d/e/*"}, []string{"/*"})}))
	for credentials, want := range map[string]string{
		"":        `{"names":["/b" "/c"]}`,
		"n:p":     `{"names":"unread"}`,
		"n:wrong": `{"names":"unread"}`,
		"root:pw": `{"names":["/a" "/b" "/c" "/d" "/e"]}`,
		"admin:p": `{"names":["/a" "/b" "/c" "/d" "/e"]}`,
	} {
		if got := s.as(credentials, "GET /v2/copse/history", ""); got != ok(200, want) {
			t.Errorf("%q: %+v, want %s", credentials, got, want)
		}
	}
	s.backend.err = &tree.Error{Code: tree.CodeRaftInternal}
	if got := s.as("root:pw", "GET /v2/copse/history", ""); got.status != 500 {
		t.Errorf("%+v", got)
	}
}
