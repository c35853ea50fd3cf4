package peerlink

import (
	"math"
	"testing"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

func TestRatesAreOfTheLastSecond(t *testing.T) {
	var tr traffic
	const start = time.Hour
	check := func(when time.Duration, total uint64, appends, bytes float64) {
		t.Helper()
		n, a, b := tr.rates(start + when)
		if n != total || math.Abs(a-appends) > 0.2*appends || math.Abs(b-bytes) > 0.2*bytes {
			t.Errorf("after %v: %d, %.1f/s, %.1f bytes/s; want %d, %.1f, %.1f", when, n, a, b, total, appends, bytes)
		}
	}
	check(0, 0, 0, 0)
	at := time.Duration(0)
	for ; at < 3*time.Second; at += 5 * time.Millisecond {
		tr.add(start+at, 2, 100)
	}
	check(at, 1200, 400, 20_000)
	check(at+500*time.Millisecond, 1200, 200, 10_000)
	check(at+1100*time.Millisecond, 1200, 0, 0)
	check(at+time.Hour, 1200, 0, 0)
	tr.add(start+at+2*time.Hour, 0, 50) // heartbeats only
	check(at+2*time.Hour, 1200, 0, 0)
}

func ackOf(shard, index uint64) pb.Message {
	return pb.Message{Type: pb.ReplicateResp, ShardID: shard, LogIndex: index}
}

func appendOf(shard uint64, indexes ...uint64) pb.Message {
	m := pb.Message{Type: pb.Replicate, ShardID: shard}
	for _, i := range indexes {
		m.Entries = append(m.Entries, pb.Entry{Index: i})
	}
	return m
}

func TestLatencyIsOfOneAppendAtATime(t *testing.T) {
	var w metric.Writer
	p := newPeer()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	send := func(at int, m ...pb.Message) { p.sending(ms(at), &pb.MessageBatch{Requests: m}) }
	receive := func(at int, m ...pb.Message) { p.received(ms(at), &pb.MessageBatch{Requests: m}) }
	check := func(what string, success, fail uint64, current, average, deviation, least, most float64) {
		t.Helper()
		s, _ := p.follower(7)
		got := []float64{float64(s.Success), float64(s.Fail), s.Current, s.Average, s.StandardDeviation, s.Minimum, s.Maximum}
		for i, want := range []float64{float64(success), float64(fail), current, average, deviation, least, most} {
			if math.Abs(got[i]-want) > 1e-9 {
				t.Errorf("%s: %+v", what, s)
				return
			}
		}
	}
	if _, any := p.follower(7); any {
		t.Error("it follows before anything was sent")
	}
	send(0, appendOf(1, 5, 6))
	send(1, appendOf(1, 7)) // while 6 is timed
	receive(2, ackOf(1, 5))
	check("acknowledged in part", 1, 0, 0, 0, 0, 0, 0)
	receive(4, ackOf(1, 7))
	check("acknowledged", 2, 0, 4, 4, 0, 4, 4)
	receive(5, ackOf(1, 7), ackOf(1, 6), ackOf(2, 9))
	check("nothing new", 2, 0, 4, 4, 0, 4, 4)

	send(10, appendOf(1, 8), appendOf(2, 3))
	receive(18, ackOf(1, 8), pb.Message{Type: pb.ReplicateResp, ShardID: 2, LogIndex: 3, Reject: true})
	check("another", 3, 0, 8, 6, 2, 4, 8)
	receive(16, ackOf(2, 3))
	check("of another shard", 4, 0, 6, 6, math.Sqrt(8.0/3), 4, 8)

	send(20, appendOf(1, 9), pb.Message{Type: pb.Replicate, ShardID: 1})
	p.failed(1)
	receive(30, ackOf(1, 9))
	check("after a failure, which isn't timed", 5, 1, 6, 6, math.Sqrt(8.0/3), 4, 8)

	send(40, appendOf(1, 6)) // another leader has been there
	receive(46, ackOf(1, 6))
	check("sent anew", 6, 1, 6, 6, math.Sqrt(2), 4, 8)

	send(50, appendOf(1, 7))
	send(60_000, appendOf(1, 8)) // 7's answer has been lost
	receive(60_006, ackOf(1, 8))
	check("after a lost answer", 7, 1, 6, 6, math.Sqrt(8.0/5), 4, 8)
	send(70_000, appendOf(1, 9))
	receive(90_000, ackOf(1, 9))
	check("after an answer that isn't this one's", 8, 1, 6, 6, math.Sqrt(8.0/5), 4, 8)

	w.Family("latency", metric.HistogramKind, "Of the samples.")
	w.Histogram(p.appends.latency)
	page, err := metrictest.Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := page.Value("latency_count")
	sum, _ := page.Value("latency_sum")
	if s, _ := p.follower(7); n != 5 || math.Abs(sum-5*s.Average/1000) > 1e-9 {
		t.Errorf("the histogram has %v samples, %v s; the average is %v ms", n, sum, s.Average)
	}
}
