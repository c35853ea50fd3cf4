package mirror_test

import (
	"reflect"
	"testing"

	"copse/statemachine/mirror"
	"copse/statemachine/tree"
)

func whole() mirror.Change {
	return mirror.Change{
		Kind: mirror.Fill, From: 3, To: 9, Term: 4, ID: 77, Now: -5, Sources: []string{"http://a:1", ""},
		Events: []tree.Event{{Action: tree.ActionExpire, Node: tree.Node{Key: "/d", Dir: true, Modified: 5, Created: 4},
			Prev: tree.Node{Key: "/d", Dir: true, Expires: 12, Modified: 4, Created: 4}, HasPrev: true, Refresh: true, Now: 8}},
		Part: mirror.Part{First: true, Hole: true, Count: 6, Removes: []string{"/x"},
			Puts: []tree.Node{{Key: "/k", Value: []byte("v\xff"), Modified: 6, Created: 6, Written: 6}}},
	}
}

func TestChangesAndStatesAreReadBack(t *testing.T) {
	want := whole()
	got, err := mirror.ReadChange(want.Append(nil))
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%v: got\n%+v, want\n%+v", err, got, want)
	}
	s := mirror.State{On: true, Sources: []string{"http://a:1"}, Term: 1, Fill: 2, Hold: 3, Ended: 4, Compared: 5, ComparedAt: 6, Corrected: 7}
	back, err := mirror.ReadState(s.Append(nil))
	if err != nil || !reflect.DeepEqual(*back, s) {
		t.Errorf("%v: got\n%+v, want\n%+v", err, back, s)
	}
	if s, err := mirror.ReadState(nil); err != nil || s.On {
		t.Errorf("nothing is %+v, %v", s, err)
	}
}

func FuzzChange(f *testing.F) {
	c := whole()
	f.Add(c.Append(nil))
	f.Add([]byte{1, 2, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := mirror.ReadChange(data)
		if err == nil != mirror.IsChange(data) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		again, err := mirror.ReadChange(c.Append(nil))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%v: %+v, then %+v", err, c, again)
		}
	})
}

func TestWhatIsCutOrLongerIsRefused(t *testing.T) {
	c := whole()
	data := c.Append(nil)
	for n := range data {
		if mirror.IsChange(data[:n]) {
			t.Errorf("the first %d of %d bytes are a change", n, len(data))
		}
	}
	if mirror.IsChange(append(data, 0)) {
		t.Error("a byte more is a change")
	}
}
