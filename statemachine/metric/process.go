package metric

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"syscall"
)

// WriteProcess writes the metrics that dashboards expect from any Go program: the go_
// and process_ families, named as in Prometheus' own client library. A number that
// the system doesn't provide is left out.
func WriteProcess(w *Writer) {
	writeGo(w)
	writeUsage(w)
	writeProc(w)
}

// goGauges are the numbers of the Go runtime that are written unchanged. Unlike
// runtime.ReadMemStats, reading them doesn't stop the world.
var goGauges = [...]struct {
	source, name string
	kind         Kind
	help         string
}{
	{"/sched/goroutines:goroutines", "go_goroutines", GaugeKind, "Goroutines that exist."},
	{"/sched/threads/total:threads", "go_threads", GaugeKind, "Threads of the Go runtime."},
	{"/sched/gomaxprocs:threads", "go_sched_gomaxprocs_threads", GaugeKind, "Threads that may run Go code at once."},
	{"/memory/classes/total:bytes", "go_memstats_sys_bytes", GaugeKind, "Memory obtained from the system."},
	{"/memory/classes/heap/objects:bytes", "go_memstats_heap_alloc_bytes", GaugeKind, "Heap memory in use by objects, or by garbage not yet found."},
	{"/memory/classes/heap/released:bytes", "go_memstats_heap_released_bytes", GaugeKind, "Heap memory given back to the system."},
	{"/memory/classes/heap/stacks:bytes", "go_memstats_stack_inuse_bytes", GaugeKind, "Memory of goroutines' stacks."},
	{"/gc/heap/goal:bytes", "go_memstats_next_gc_bytes", GaugeKind, "Heap size at which the next collection ends."},
	{"/gc/heap/objects:objects", "go_memstats_heap_objects", GaugeKind, "Objects on the heap."},
	{"/gc/heap/allocs:bytes", "go_memstats_alloc_bytes_total", CounterKind, "Bytes allocated on the heap since the start."},
	{"/gc/heap/allocs:objects", "go_memstats_mallocs_total", CounterKind, "Objects allocated on the heap since the start."},
	{"/gc/heap/frees:objects", "go_memstats_frees_total", CounterKind, "Objects freed from the heap since the start."},
}

func writeGo(w *Writer) {
	samples := make([]metrics.Sample, len(goGauges))
	for i := range samples {
		samples[i].Name = goGauges[i].source
	}
	metrics.Read(samples)
	for i, g := range goGauges {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			w.Family(g.name, g.kind, g.help)
			w.Uint(samples[i].Value.Uint64())
		}
	}
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	w.Family("go_gc_duration_seconds", SummaryKind, "Pauses of the garbage collector.")
	w.Summary(gc.PauseTotal.Seconds(), uint64(gc.NumGC))
	w.Family("go_info", GaugeKind, "The version of Go.")
	w.Uint(1, "version", runtime.Version())
}

func writeUsage(w *Writer) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
		w.Family("process_cpu_seconds_total", CounterKind, "CPU time used, by user and system.")
		w.Float(seconds(u.Utime) + seconds(u.Stime))
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		w.Gauge("process_max_fds", "Files that may be open at once.", float64(files.Cur))
	}
}

// Positions of fields in /proc/self/stat, counted from the first one after the
// command's name; see proc(5).
const (
	statStartTime = 22 - 3
	statVirtual   = 23 - 3
	statResident  = 24 - 3

	clockTicks = 100 // per second in that file, on every Linux that Go supports
)

func writeProc(w *Writer) {
	if names, err := readNames("/proc/self/fd"); err == nil {
		w.Gauge("process_open_fds", "Open files, sockets among them.", float64(names-1)) // minus the one open for this listing
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	// The name is in parentheses and may contain anything, even parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	number := func(i int) (float64, bool) {
		if i >= len(fields) {
			return 0, false
		}
		v, err := strconv.ParseFloat(string(fields[i]), 64)
		return v, err == nil
	}
	if v, ok := number(statVirtual); ok {
		w.Gauge("process_virtual_memory_bytes", "Address space in use.", v)
	}
	if v, ok := number(statResident); ok {
		w.Gauge("process_resident_memory_bytes", "Memory that is in RAM.", v*float64(os.Getpagesize()))
	}
	if v, ok := number(statStartTime); ok {
		if boot, ok := bootTime(); ok {
			w.Gauge("process_start_time_seconds", "When the process was started, Unix time.", boot+v/clockTicks)
		}
	}
}

func readNames(dir string) (int, error) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return len(names), err
}

// bootTime returns when the machine started, in Unix seconds.
func bootTime() (float64, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	_, rest, ok := bytes.Cut(stat, []byte("\nbtime "))
	if !ok {
		return 0, false
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	v, err := strconv.ParseFloat(string(line), 64)
	return v, err == nil
}
