package inflight_test

import (
	"sync"
	"testing"
	"time"

	"copse/statemachine/inflight"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

func waiting(t *testing.T, b *inflight.Budget) float64 {
	t.Helper()
	return value(t, b, "copse_in_flight_waiting")
}

// value is one of b's metrics.
func value(t *testing.T, b *inflight.Budget, name string, labels ...string) float64 {
	t.Helper()
	var w metric.Writer
	b.WriteMetrics(&w)
	scrape, err := metrictest.Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := scrape.Value(name, labels...)
	return n
}

func TestTheSumIsBounded(t *testing.T) {
	b := inflight.New(100)
	if !b.Take(inflight.Bodies, 60, 0) || b.Take(inflight.Answers, 41, 0) || !b.Take(inflight.Answers, 40, 0) {
		t.Fatal("60 and 40 of 100 fit, and nothing else")
	}
	b.Give(inflight.Bodies, 60)
	b.Give(inflight.Answers, 40)
	if !b.Take(inflight.Bodies, 1000, 0) || b.Take(inflight.Bodies, 1, 0) {
		t.Error("a claim above the bound is the whole bound")
	}
	b.Give(inflight.Bodies, 1000)
	b.Add(inflight.Answers, 150)
	if b.Take(inflight.Bodies, 1, time.Millisecond) {
		t.Error("what can't be refused makes others wait")
	}
}

// Bodies leave something for answers, and answers for bodies.
func TestNoKindTakesAllFromTheOther(t *testing.T) {
	for _, kinds := range [][2]inflight.Kind{{inflight.Bodies, inflight.Answers}, {inflight.Answers, inflight.Bodies}} {
		b := inflight.New(100)
		if b.Most(kinds[0], 100) != 75 || !b.Take(kinds[0], 70, 0) || b.Take(kinds[0], 6, 0) || !b.Take(kinds[0], 5, 0) {
			t.Error("75 of 100 are there for one kind")
		}
		if !b.Take(kinds[1], 25, 0) || b.Take(kinds[1], 1, 0) {
			t.Error("the rest is there for the other")
		}
	}
}

// Who waits for more than is left makes it full, unless its own kind holds it.
func TestFullForWhoWaits(t *testing.T) {
	for kind, full := range map[inflight.Kind]bool{inflight.Streams: true, inflight.Bodies: false} {
		b := inflight.New(100)
		b.Add(kind, 60)
		if b.Full() {
			t.Error("full, with 60 of 100")
		}
		var group sync.WaitGroup
		group.Go(func() { b.Take(inflight.Bodies, 50, time.Minute) })
		for waiting(t, b) != 1 {
			time.Sleep(time.Millisecond)
		}
		if b.Full() != full {
			t.Errorf("%v, while a body waits for what %d holds", !full, kind)
		}
		b.Give(kind, 60)
		group.Wait()
	}
}

func TestWhoWaitsGetsWhatIsGivenBack(t *testing.T) {
	b := inflight.New(100)
	b.Take(inflight.Heads, 100, 0)
	got := make(chan int64, 2)
	var group sync.WaitGroup
	for i, bytes := range []int64{90, 20} {
		group.Go(func() {
			if b.Take(inflight.Heads, bytes, time.Minute) {
				got <- bytes
			}
		})
		for waiting(t, b) != float64(i+1) {
			time.Sleep(time.Millisecond)
		}
	}
	b.Give(inflight.Heads, 30)
	if first := <-got; first != 20 {
		t.Errorf("%d came first; 20 fit, and 90 did not yet", first)
	}
	b.Give(inflight.Heads, 70)
	b.Give(inflight.Heads, 20)
	group.Wait()
	if last := <-got; last != 90 || b.Held(inflight.Heads) != 90 {
		t.Errorf("got %d, and %d are held", last, b.Held(inflight.Heads))
	}
}

// TestHeldNeverPassesTheBound takes and gives from many goroutines.
func TestHeldNeverPassesTheBound(t *testing.T) {
	b := inflight.New(1000)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range 500 {
				bytes := int64((worker*37+i*101)%600 + 1)
				if !b.Take(inflight.Bodies, bytes, time.Duration(i%3)*time.Millisecond) {
					continue
				}
				if held := b.Held(inflight.Bodies); held > 1000 {
					t.Errorf("%d are held", held)
				}
				b.Give(inflight.Bodies, bytes)
			}
		})
	}
	group.Wait()
	if b.Held(inflight.Bodies) != 0 || waiting(t, b) != 0 {
		t.Errorf("%d are held in the end, and %v wait", b.Held(inflight.Bodies), waiting(t, b))
	}
}

// What is there already may pass its kind's share, but not the bound.
func TestHold(t *testing.T) {
	b := inflight.New(100)
	if !b.Take(inflight.Answers, 75, 0) || !b.Hold(inflight.Answers, 20) || b.Hold(inflight.Answers, 6) || !b.Hold(inflight.Answers, 5) {
		t.Error("75, 20 and 5 of 100 fit, and nothing else")
	}
	b.Give(inflight.Answers, 100)
	if !b.Take(inflight.Past, 25, 0) || b.Take(inflight.Past, 1, 0) || !b.Take(inflight.Answers, 75, 0) {
		t.Error("what waits for answers leaves room for them")
	}
}

// TestTry: what can be done without neither waits nor counts as refused.
func TestTry(t *testing.T) {
	b := inflight.New(100)
	if !b.Try(inflight.Bodies, 70) || b.Try(inflight.Bodies, 6) || !b.Try(inflight.Bodies, 5) || !b.Try(inflight.Bodies, 0) {
		t.Error("70 and 5 of 75 fit, and nothing else")
	}
	if held := b.Held(inflight.Bodies); held != 75 {
		t.Errorf("%d are held", held)
	}
	if n := value(t, b, "copse_in_flight_refused_total", "kind", "bodies"); n != 0 {
		t.Errorf("%v are refused", n)
	}
	if none := (*inflight.Budget)(nil); !none.Try(inflight.Bodies, 1) {
		t.Error("without a bound there is no room")
	}
}
