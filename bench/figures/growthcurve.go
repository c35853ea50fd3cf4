package main

import (
	"fmt"
	"math"
	"strings"
)

// load is the load under which the servers are measured.
type load struct {
	keys, value, connections int
}

// methods are measured under each load, each in a comparison of its own.
var methods = []string{"GET", "PUT"}

func (l load) workload(method string) workload {
	return workload{
		name:        fmt.Sprintf("%s of %s, %s, %s", method, size(l.value), several(l.keys, "key"), several(l.connections, "connection")),
		connections: l.connections,
		depth:       1,
		before:      settle,
		source: func(address string) source {
			if method == "GET" {
				return numberedGets(address, anyOf(l.keys))
			}
			return numberedPuts(address, "", anyOf(l.keys), incompressible(l.value))
		},
	}
}

// point is one place on a curve: a load, and a comparison for each of the methods.
type point struct {
	at          int
	load        load
	there       int // keys that the points before have left, of this load's value
	comparisons []*comparison
}

// growthCurve shows how the servers do as one part of the load grows.
type growthCurve struct {
	name   string // on the command line, and of the picture
	title  string // above the table, and of the picture
	label  func(at int) string
	points []*point
	yield  quantity // the quantity that must not fall
	judge  func(c *growthCurve, copse string, method int) string
}

// quantity is something that is measured at a point.
type quantity struct {
	name string
	of   func(at int, r reading) float64
}

var (
	cpuTaken = quantity{"server CPU/request, us", func(_ int, r reading) float64 { return r.cpu }}
	answered = quantity{"requests/s", func(_ int, r reading) float64 { return r.rate }}
	volume   = quantity{"MiB/s", func(at int, r reading) float64 { return r.rate * float64(at) / (1 << 20) }}
)

// The criteria for the curves.
const (
	growthAtMost = 1.3 // CPU at the end of the curve of keys to that at its start, and the fall of the rate
	cliffShare   = 0.5 // of the best before
)

func curves(o growthOptions) []*growthCurve {
	return []*growthCurve{
		newCurve(growthCurve{name: "keys", title: "Number of keys", label: count, yield: answered, judge: (*growthCurve).ends},
			o.keys, func(n int) load { return load{keys: n, value: 100, connections: 64} }),
		newCurve(growthCurve{name: "connections", title: "Number of connections", label: count, yield: answered, judge: (*growthCurve).cliff},
			o.connections, func(n int) load { return load{keys: 1000, value: valueSize, connections: n} }),
		newCurve(growthCurve{name: "values", title: "Size of values", label: size, yield: volume, judge: (*growthCurve).cliff},
			o.values, func(n int) load { return load{keys: 64, value: n, connections: 16} }),
	}
}

func newCurve(c growthCurve, at []int, of func(int) load) *growthCurve {
	var last load
	for _, n := range at {
		p := &point{at: n, load: of(n)}
		if p.load.value == last.value {
			p.there = last.keys
		}
		for _, method := range methods {
			p.comparisons = append(p.comparisons, &comparison{workload: p.load.workload(method), readings: make(map[string][]reading)})
		}
		c.points, last = append(c.points, p), p.load
	}
	return &c
}

func (c *growthCurve) comparisons() (all []*comparison) {
	for _, p := range c.points {
		all = append(all, p.comparisons...)
	}
	return all
}

// medians are one server's, point by point.
func (c *growthCurve) medians(server string, method int, q quantity) (all []float64) {
	for _, p := range c.points {
		all = append(all, p.comparisons[method].medianOf(server, func(r reading) float64 { return q.of(p.at, r) }))
	}
	return all
}

// markdown has the ratios, and what becomes of the curve; its picture has the values.
func (c *growthCurve) markdown(l lineup) string {
	var t strings.Builder
	fmt.Fprintf(&t, "### %s\n\n%s\n", c.title, overview(l, c.comparisons()))
	copse := l.judged()
	for i, method := range methods {
		if len(c.points) > 1 && len(c.points[0].comparisons[i].readings[copse]) > 0 {
			fmt.Fprintf(&t, "- %s, %s\n", method, c.judge(c, copse, i))
		}
	}
	return t.String()
}

// ends compares the end of copse's curve with its start.
func (c *growthCurve) ends(copse string, method int) string {
	first, last := c.points[0], c.points[len(c.points)-1]
	over := func(of func(reading) float64) ratios {
		return divide(last.comparisons[method].readings[copse], first.comparisons[method].readings[copse], of)
	}
	return fmt.Sprintf("%s : %s: %s; %s", c.label(last.at), c.label(first.at),
		verdict("CPU", over(cpuOf), growthAtMost, false), verdict("requests/s", over(rateOf), 1/growthAtMost, true))
}

// cliff says whether copse's curve falls off anywhere.
func (c *growthCurve) cliff(copse string, method int) string {
	at, share := steepest(c.medians(copse, method, c.yield))
	word := "no cliff"
	if share < cliffShare {
		word = "**cliff**"
	}
	return fmt.Sprintf("%s at %s, to the best before: %s, %s", c.yield.name, c.label(c.points[at].at), short(share), word)
}

// steepest is the point where a curve first falls below cliffShare of its best value
// so far; if there is none, the point that comes nearest to it.
func steepest(curve []float64) (at int, share float64) {
	best := curve[0]
	share = math.Inf(1)
	for i, v := range curve[1:] {
		if v/best < share {
			at, share = i+1, v/best
		}
		if share < cliffShare {
			break
		}
		best = max(best, v)
	}
	return at, share
}

func count(n int) string { return strings.TrimSuffix(grouped(float64(n)), ".0") }

func several(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return count(n) + " " + what
}

func size(bytes int) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.4g MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.4g KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}
