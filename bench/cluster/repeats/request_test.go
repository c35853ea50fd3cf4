package repeats_test

import (
	"context"
	"fmt"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/v2api"
)

// request is a write of one client, which sends it until it has been answered.
type request struct {
	id    string
	write v2api.Request
	txn   *v2api.Txn // instead of it

	body   string // of the first answer,
	index  uint64 // with its X-Etcd-Index,
	events []v2api.Event

	tries, lost int
	prompt      bool   // the first try was answered
	fault       string // what was wrong with an answer
}

// try sends it to a member, and reports whether it was answered.
func (r *request) try(ctx context.Context, m *fleet.Member, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.tries++
	outcome, events, reply := r.send(ctx, m)
	switch {
	case outcome == v2api.Refused:
		r.complain("%s refused it: %s", m.Name, reply.Body)
	case outcome == v2api.Unknown:
		r.lost++
		return false
	case outcome == v2api.NotSent:
		return false
	case r.events == nil:
		r.body, r.index, r.events = string(reply.Body), reply.Index, events
		r.whole()
	case string(reply.Body) != r.body || reply.Index != r.index:
		r.complain("%s answered\n%s at %d, and it had been answered\n%s at %d", m.Name, reply.Body, reply.Index, r.body, r.index)
	}
	return true
}

func (r *request) send(ctx context.Context, m *fleet.Member) (v2api.Outcome, []v2api.Event, v2api.Reply) {
	client := v2api.NewClient(m.Dial, 0)
	if r.txn != nil {
		reply, err := v2api.DoTxn(ctx, client, m.URL, r.txn, r.id)
		outcome, events, _ := reply.ParseTxn(err)
		return outcome, events, reply
	}
	reply, err := v2api.Do(ctx, client, m.URL, &r.write)
	outcome, ev, _ := reply.Parse(err)
	if ev == nil {
		return outcome, nil, reply
	}
	return outcome, []v2api.Event{*ev}, reply
}

// whole: an answer has an event for each write, and their indexes follow each other.
func (r *request) whole() {
	want := 1
	if r.txn != nil {
		want = len(r.txn.Ops)
	}
	for i := range r.events {
		if got := r.events[i].Index(); got != r.events[0].Index()+uint64(i) {
			want = -1
		}
	}
	if len(r.events) != want || r.index != r.events[len(r.events)-1].Index() {
		r.complain("it was answered %s at %d", r.body, r.index)
	}
}

func (r *request) complain(format string, args ...any) {
	if r.fault == "" {
		r.fault = r.id + ": " + fmt.Sprintf(format, args...)
	}
}
