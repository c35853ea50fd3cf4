package auth_test

import (
	"reflect"
	"testing"

	"copse/statemachine/auth"
)

// FuzzCodec decodes arbitrary bytes as everything that goes into the log and the store.
// What decodes must survive encoding and decoding, and a change must be one that can be
// carried out.
func FuzzCodec(f *testing.F) {
	for _, c := range []auth.Change{
		{Op: auth.Enable}, {Op: auth.Init, Hash: "h"}, putUser("u", "h", texts("a", ""), nil, texts()),
		putRole("r", kv(texts("/a"), nil), kv(texts(), nil), kv(nil, texts("*"))),
	} {
		f.Add(c.Append(nil))
	}
	f.Add((&auth.User{Hash: "h", Roles: texts("a")}).Append(nil))
	f.Add((&auth.Role{Permissions: *kv(texts("/a"), nil), Grant: kv(nil, nil)}).Append(nil))
	f.Add((&auth.Outcome{Kind: auth.Created, User: &auth.User{Name: "u"}}).Append(nil))
	f.Add((&auth.Outcome{Kind: auth.Conflict, Message: "m", Role: &auth.Role{Name: "r", Revoke: kv(nil, texts())}}).Append(nil))
	f.Add(auth.AppendFlag(nil, true))
	f.Add([]byte{1, 3, 1, 'u', 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := auth.ReadChange(data); err == nil {
			again, err := auth.ReadChange(c.Append(nil))
			if err != nil || !reflect.DeepEqual(again, c) {
				t.Fatalf("the change %+v became %+v, %v", c, again, err)
			}
			(&auth.State{}).Apply(c)
		}
		if u, err := auth.ReadUser("u", data); err == nil {
			if again, err := auth.ReadUser("u", u.Append(nil)); err != nil || !reflect.DeepEqual(again, u) {
				t.Fatalf("the user %+v became %+v, %v", u, again, err)
			}
		}
		if r, err := auth.ReadRole("r", data); err == nil {
			if again, err := auth.ReadRole("r", r.Append(nil)); err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("the role %+v became %+v, %v", r, again, err)
			}
		}
		if o, err := auth.ReadOutcome(data); err == nil {
			if again, err := auth.ReadOutcome(o.Append(nil)); err != nil || !reflect.DeepEqual(again, o) {
				t.Fatalf("the outcome %+v became %+v, %v", o, again, err)
			}
		}
		if on, err := auth.ReadFlag(data); err == nil && len(auth.AppendFlag(nil, on)) != len(data) {
			t.Fatalf("%x is a flag", data)
		}
	})
}

func TestBadRecordsAreRefused(t *testing.T) {
	good := putUser("u", "h", nil, nil, nil)
	long := putUser("u", "h", texts(string(make([]byte, auth.ChangeLimit))), nil, nil)
	hash := putUser("u", string(make([]byte, 200)), nil, nil, nil)
	for name, data := range map[string][]byte{
		"nothing":          {},
		"version 0":        append([]byte{0}, good.Append(nil)[1:]...),
		"a newer version":  append([]byte{2}, good.Append(nil)[1:]...),
		"no operation":     (&auth.Change{Name: "u"}).Append(nil),
		"an unknown one":   (&auth.Change{Op: 99}).Append(nil),
		"no name":          (&auth.Change{Op: auth.DeleteUser}).Append(nil),
		"a name too much":  (&auth.Change{Op: auth.Init, Name: "root", Hash: "h"}).Append(nil),
		"cut short":        good.Append(nil)[:8],
		"something behind": append(good.Append(nil), 0),
		"too long":         long.Append(nil),
		"a long hash":      hash.Append(nil),
	} {
		if auth.IsChange(data) {
			t.Errorf("%s: taken for a change", name)
		}
	}
	if !auth.IsChange(good.Append(nil)) {
		t.Error("a good change is refused")
	}
}
