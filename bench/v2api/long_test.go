package v2api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLongValues(t *testing.T) {
	short := Long("c1-7 <&é\n", 300_000)
	r := Request{Method: "PUT", Key: "/a", Value: short}
	whole := r.Form().Get("value")
	if len(whole) != len(short)+300_000 || !IsLong(short) || IsLong(whole) || IsLong("~x~") {
		t.Fatalf("%d bytes are sent", len(whole))
	}
	show := func(value string) string {
		text, _ := json.Marshal(map[string]any{"key": "/", "nodes": []map[string]any{{"key": "/a", "value": value}}})
		var n Node
		if err := json.Unmarshal(text, &n); err != nil {
			t.Fatal(err)
		}
		return n.Nodes[0].Value
	}
	if got := show(whole); got != short {
		t.Errorf("%.200q, want %q", got, short)
	}
	if real := strings.Repeat("another ~3~", 10_000); show(real) != real {
		t.Error("another value is taken for a long one")
	}
	for _, wrong := range []string{whole[:len(whole)-1], whole + "x", strings.Replace(whole, "7", "8", 2), "x" + whole, whole[:100_000] + "y" + whole[100_001:]} {
		if got := show(wrong); got == short || len(got) > 1000 {
			t.Errorf("%.200q, of a value that wasn't sent", got)
		}
	}
	if got := show("short ~3~"); got != "short ~3~" {
		t.Errorf("%q", got)
	}
}
