package metric_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

func TestTheTextFormIsPrometheus(t *testing.T) {
	sizes := metric.NewHistogram(1, 10)
	for _, v := range []int64{0, 1, 2, 10, 11, 100} {
		sizes.Observe(v)
	}
	var w metric.Writer
	w.Counter("a_total", "Counts \\ and\nbreaks.", 3)
	w.Family("b", metric.GaugeKind, "Has labels.")
	w.Float(-0.5, "x", "1", "y", "q\"b\\n\n")
	w.Bool(true, "x", "2")
	w.Family("sizes", metric.HistogramKind, "Is a histogram.")
	w.Histogram(sizes, "of", "z")
	w.Family("none", metric.GaugeKind, "Is empty.")
	want := `# HELP a_total Counts \\ and\nbreaks.
# TYPE a_total counter
a_total 3
# HELP b Has labels.
# TYPE b gauge
b{x="1",y="q\"b\\n\n"} -0.5
b{x="2"} 1
# HELP sizes Is a histogram.
# TYPE sizes histogram
sizes_bucket{of="z",le="1"} 2
sizes_bucket{of="z",le="10"} 4
sizes_bucket{of="z",le="+Inf"} 6
sizes_sum{of="z"} 124
sizes_count{of="z"} 6
# HELP none Is empty.
# TYPE none gauge
`
	if got := string(w.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s, err := metrictest.Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := s["b"].Samples[0].Labels["y"]; got != "q\"b\\n\n" {
		t.Errorf("the label came back as %q", got)
	}
}

func TestDurationsAreShownInSeconds(t *testing.T) {
	h := metric.NewDurations()
	h.Observe(int64(100 * time.Microsecond))
	h.Observe(int64(100*time.Microsecond) + 1)
	h.Observe(int64(time.Hour))
	var w metric.Writer
	w.Family("d", metric.HistogramKind, "D.")
	w.Histogram(h)
	for _, line := range []string{
		`d_bucket{le="0.0001"} 1`, `d_bucket{le="0.00025"} 2`, `d_bucket{le="0.001"} 2`, `d_bucket{le="2.5"} 2`,
		`d_bucket{le="10"} 2`, `d_bucket{le="+Inf"} 3`, `d_count 3`,
	} {
		if !strings.Contains(string(w.Bytes()), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, w.Bytes())
		}
	}
	if h.Count() != 3 {
		t.Errorf("count %d", h.Count())
	}
}

func TestAScrapeWhileOthersCountIsWhole(t *testing.T) {
	h := metric.NewHistogram(1, 2, 4)
	var counting sync.WaitGroup
	stop := make(chan struct{})
	for g := range int64(4) {
		counting.Go(func() {
			for i := g; ; i++ {
				select {
				case <-stop:
					return
				default:
					h.Observe(i % 6)
				}
			}
		})
	}
	for range 200 {
		var w metric.Writer
		w.Family("h", metric.HistogramKind, "H.")
		w.Histogram(h)
		if _, err := metrictest.Parse(w.Bytes()); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	counting.Wait()
}

func TestTheProcessIsDescribed(t *testing.T) {
	var w metric.Writer
	metric.WriteProcess(&w)
	s, err := metrictest.Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"go_goroutines", "go_threads", "go_info", "go_memstats_heap_alloc_bytes", "go_memstats_alloc_bytes_total",
		"process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes", "process_virtual_memory_bytes",
	} {
		if v, _ := s.Value(name); v <= 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	start, _ := s.Value("process_start_time_seconds")
	if age := time.Since(time.Unix(int64(start), 0)); age < -time.Minute || age > 24*time.Hour {
		t.Errorf("the process is %v old", age)
	}
}

func TestWhatIsNoScrapeIsRefused(t *testing.T) {
	const head = "# HELP a A.\n# TYPE a counter\n"
	for name, text := range map[string]string{
		"no end of line":           head + "a 1",
		"no help":                  "# TYPE a counter\na 1\n",
		"no type":                  "# HELP a A.\na 1\n",
		"an unknown type":          "# HELP a A.\n# TYPE a number\na 1\n",
		"a family twice":           head + "a 1\n" + head + "a 2\n",
		"a sample twice":           head + "a{x=\"1\"} 1\na{x=\"1\"} 2\n",
		"another's sample":         head + "b 1\n",
		"no number":                head + "a one\n",
		"two spaces":               head + "a  1\n",
		"a negative counter":       head + "a -1\n",
		"a bad label":              head + "a{1x=\"1\"} 1\n",
		"an open label":            head + "a{x=\"1} 1\n",
		"an unknown escape":        head + "a{x=\"\\t\"} 1\n",
		"buckets that fall":        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
		"a count beyond the last":  "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
		"a histogram with no +Inf": "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
	} {
		if _, err := metrictest.Parse([]byte(text)); err == nil {
			t.Errorf("%s is taken for a scrape", name)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	h := metric.NewDurations()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Observe(int64(300 * time.Microsecond))
		}
	})
}

func TestAllCopiesTogetherHaveWhatWasCounted(t *testing.T) {
	const cores, each = 8, 1000
	s := metric.NewStriped(func(n *atomic.Uint64) { n.Store(1) })
	begin := uint64(0)
	for n := range s.All {
		begin += n.Load()
	}
	var all sync.WaitGroup
	for range cores {
		all.Go(func() {
			for range each {
				n := s.Take()
				n.Add(1)
				s.Give(n)
			}
		})
	}
	all.Wait()
	sum := uint64(0)
	for n := range s.All {
		sum += n.Load()
	}
	if begin == 0 || sum-begin != cores*each {
		t.Errorf("got %d, after %d; want %d more", sum, begin, cores*each)
	}
}

func TestAHistogramIncludesAnother(t *testing.T) {
	parts, sum := [2]*metric.Histogram{metric.NewHistogram(1, 10), metric.NewHistogram(1, 10)}, metric.NewHistogram(1, 10)
	parts[0].Observe(1)
	parts[1].Observe(5)
	parts[1].Observe(100)
	for _, h := range parts {
		sum.Include(h)
	}
	var got, want metric.Writer
	got.Family("a", metric.HistogramKind, "")
	got.Histogram(sum)
	whole := metric.NewHistogram(1, 10)
	for _, v := range []int64{1, 5, 100} {
		whole.Observe(v)
	}
	want.Family("a", metric.HistogramKind, "")
	want.Histogram(whole)
	if string(got.Bytes()) != string(want.Bytes()) {
		t.Errorf("got %s want %s", got.Bytes(), want.Bytes())
	}
}

// BenchmarkStriped is BenchmarkObserve in copies.
func BenchmarkStriped(b *testing.B) {
	s := metric.NewStriped((*metric.Histogram).InitDurations)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h := s.Take()
			h.Observe(int64(300 * time.Microsecond))
			s.Give(h)
		}
	})
}
