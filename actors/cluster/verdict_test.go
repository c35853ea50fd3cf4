package cluster

import "testing"

func TestTheMajorityDecides(t *testing.T) {
	yes, away := stance{kind: agrees}, stance{}
	ahead := stance{lacks, point{index: 9}}
	other := stance{otherHash, point{9, 1}}
	third := stance{otherHash, point{9, 2}}
	tests := map[string]struct {
		self   bool
		others []stance
		want   verdict
		by     stance
	}{
		"alone":                                     {true, nil, sound, stance{}},
		"both others agree":                         {true, []stance{yes, yes}, sound, stance{}},
		"one agrees, one is away":                   {true, []stance{yes, away}, sound, stance{}},
		"both are away":                             {true, []stance{away, away}, undecided, stance{}},
		"one contradicts, one agrees":               {true, []stance{other, yes}, sound, stance{}},
		"both contradict alike":                     {true, []stance{other, other}, wrong, other},
		"both lack what this one has":               {true, []stance{ahead, ahead}, wrong, ahead},
		"both contradict, each in its way":          {true, []stance{other, third}, disputed, other},
		"one contradicts, one is away":              {true, []stance{away, other}, disputed, other},
		"of two, the other contradicts":             {true, []stance{other}, disputed, other},
		"of five, three contradict":                 {true, []stance{other, yes, other, other}, wrong, other},
		"of five, two contradict, two agree":        {true, []stance{other, yes, other, yes}, sound, stance{}},
		"of five, two contradict, and two are away": {true, []stance{other, away, other, away}, disputed, other},
		"a learner, contradicted by both":           {false, []stance{other, other}, wrong, other},
		"a learner of a single voter":               {false, []stance{other}, wrong, other},
		"a learner, with one of two away":           {false, []stance{yes, away}, undecided, stance{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if is, by := judge(tt.self, tt.others); is != tt.want || by != tt.by {
				t.Errorf("got %d by %+v, want %d by %+v", is, by, tt.want, tt.by)
			}
		})
	}
}

func TestWhereAnotherMemberStands(t *testing.T) {
	own := point{100, 7}
	tests := map[string]struct {
		own   point
		term  uint64
		a     account
		want  stance
		later bool
	}{
		"the same hash":                           {own, 0, account{last: point{120, 9}, asked: 7, flags: knowsAsked | knowsLast}, stance{kind: agrees}, false},
		"another hash":                            {own, 0, account{last: point{120, 9}, asked: 8, flags: knowsAsked | knowsLast}, stance{otherHash, point{100, 8}}, false},
		"it lags, and may come to it":             {own, 3, account{last: point{90, 9}, term: 2, flags: knowsLast}, stance{}, false},
		"it has all there is, but not that entry": {own, 3, account{last: point{90, 9}, flags: knowsLast | upToDate}, stance{lacks, point{index: 100}}, false},
		"it is far ahead":                         {own, 0, account{last: point{9000, 9}, flags: knowsLast}, stance{}, true},
		"far ahead, with another term":            {own, 3, account{last: point{9000, 9}, term: 4, flags: knowsLast}, stance{otherTerm, point{100, 4}}, false},
		"far ahead, with the same term":           {own, 3, account{last: point{9000, 9}, term: 3, flags: knowsLast}, stance{}, true},
		"far ahead, without a hash of its own":    {own, 0, account{last: point{9000, 0}}, stance{}, false},
		"nothing to compare":                      {point{}, 0, account{last: point{90, 9}, flags: knowsLast}, stance{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := readAccount(tt.a.append(nil))
			if a != tt.a {
				t.Fatalf("read %+v, wrote %+v", a, tt.a)
			}
			if s, later := stanceOf(tt.own, tt.term, &a); s != tt.want || later != tt.later {
				t.Errorf("got %+v, %v; want %+v, %v", s, later, tt.want, tt.later)
			}
		})
	}
}
