package httpfront

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"copse/statemachine/tree"
)

func TestTagsThatAClientHas(t *testing.T) {
	for field, want := range map[string]string{
		``:                               "",
		`*`:                              "any",
		` * `:                            "any",
		`"l-7"`:                          "7",
		`W/"l-7"`:                        "7",
		`"l-7" , W/"l-8",,"other","m-9"`: "7 8",
		"\t, \"l-1\" ,":                  "1",
		`"l-07", "l-", "l-0", "l-+1", "l-18446744073709551616", "l-18446744073709551615"`: "18446744073709551615",
		`"a,b", "l-3"`:                         "3",
		`*, "l-7"`:                             "bad",
		`"l-7" "l-8"`:                          "bad",
		`l-7`:                                  "bad",
		`"l-7`:                                 "bad",
		`w/"l-7"`:                              "bad",
		`W/`:                                   "bad",
		`"l-7", "with a"`:                      "bad",
		"\"\x7f\"":                             "bad",
		strings.Repeat(`"l-5",`, 70) + `"l-6"`: strings.TrimSpace(strings.Repeat("5 ", knownLimit)),
	} {
		if got := tagsOf(field); got != want {
			t.Errorf("%s: got %s want %s", field, got, want)
		}
	}
}

// tagsOf are the tags of the life l in a field, as text.
func tagsOf(field string) string {
	var k tree.Known
	switch {
	case !readTags([]byte(field), []byte("l-"), &k):
		return "bad"
	case k.Any:
		return "any"
	}
	var list []string
	for _, at := range k.At {
		list = append(list, strconv.FormatUint(uint64(at), 10))
	}
	return strings.Join(list, " ")
}

// tagList is If-None-Match in RFC 9110.
var tagList = regexp.MustCompile(`^[ \t,]*((W/)?"[!#-~\x80-\xff]*"[ \t]*(,[ \t,]*|$))*$`)

func FuzzTagsThatAClientHas(f *testing.F) {
	for _, seed := range []string{``, `*`, `"l-7"`, `W/"l-7", "l-8"`, `"l-7" "l-8"`, "\"\x80\"", `"l-7`, `,,`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got := tagsOf(field)
		latin := make([]rune, 0, len(field)) // so that the pattern sees bytes
		for _, c := range []byte(field) {
			latin = append(latin, rune(c))
		}
		star := strings.Trim(field, " \t") == "*"
		if (got == "any") != star || (got == "bad") != (!star && !tagList.MatchString(string(latin))) {
			t.Fatalf("%q: got %s", field, got)
		}
		if got == "any" || got == "bad" {
			return
		}
		for _, at := range strings.Fields(got) {
			if !bytes.Contains([]byte(field), []byte(`"l-`+at+`"`)) {
				t.Fatalf("%q has no %s", field, at)
			}
		}
		if n := len(strings.Fields(got)); n > knownLimit || slices.Contains(strings.Fields(got), "0") {
			t.Fatalf("%q: got %s", field, got)
		}
	})
}
