package main

import (
	"fmt"
	"slices"
	"strings"

	"copse/bench/peer"
)

// ratios are one server's values divided by another's, round by round.
type ratios []float64

// pair divides the values of over by those of under, round by round.
func (b *comparison) pair(over, under string, of func(reading) float64) ratios {
	return divide(b.readings[over], b.readings[under], of)
}

func divide(as, bs []reading, of func(reading) float64) ratios {
	var r ratios
	for i := range min(len(as), len(bs)) {
		if d := of(bs[i]); d > 0 {
			r = append(r, of(as[i])/d)
		}
	}
	return r
}

// String is the median with the minimum and the maximum.
func (r ratios) String() string {
	if len(r) < 2 {
		return r.median()
	}
	return fmt.Sprintf("%s (%s…%s)", r.median(), short(slices.Min(r)), short(slices.Max(r)))
}

func (r ratios) median() string {
	if len(r) == 0 {
		return "–"
	}
	return short(median(r))
}

func short(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.1f", v)
	}
	if v >= 0.1 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func rateOf(r reading) float64   { return r.rate }
func cpuOf(r reading) float64    { return r.cpu }
func p50Of(r reading) float64    { return r.p50 }
func p99Of(r reading) float64    { return r.p99 }
func p999Of(r reading) float64   { return r.p999 }
func memoryOf(r reading) float64 { return r.memory }

func writtenOf(r reading) float64 { return r.written }

// medianOf is the median of one server's rounds.
func (b *comparison) medianOf(server string, of func(reading) float64) float64 {
	var values []float64
	for _, r := range b.readings[server] {
		values = append(values, of(r))
	}
	return median(values)
}

// overview has a line for each workload, for who wants to know in a minute: the judged copse
// beside etcd.
func overview(l lineup, comparisons []*comparison) string {
	var t strings.Builder
	copse, etcd := l.judged(), string(peer.Etcd35)
	fmt.Fprintf(&t, "| %s : %s | requests/s | server CPU/request | p50 | p99 | memory |\n| --- | ---: | ---: | ---: | ---: | ---: |\n", copse, etcd)
	for _, b := range comparisons {
		if len(b.pair(copse, etcd, rateOf)) == 0 {
			continue
		}
		fmt.Fprintf(&t, "| %s |", b.workload.name)
		for _, of := range []func(reading) float64{rateOf, cpuOf, p50Of, p99Of, memoryOf} {
			fmt.Fprintf(&t, " %s |", b.pair(copse, etcd, of).median())
		}
		t.WriteString("\n")
	}
	return t.String()
}

// requestTable has for each workload the servers and limits, below them the ratios
// of each copse to etcd and to the first copse, and the targets for the last one.
func requestTable(l lineup, comparisons []*comparison) string {
	var t strings.Builder
	t.WriteString(tableHead)
	var quiet *comparison
	for _, b := range comparisons {
		name := "**" + b.workload.name + "**"
		for _, server := range l.names() {
			if len(b.readings[server]) == 0 {
				continue
			}
			b.line(&t, name, server)
			name = ""
		}
		for _, p := range l.pairs() {
			b.compare(&t, p.over, p.under)
		}
		if verdicts := b.verdicts(l.judged(), quiet); len(verdicts) > 0 {
			fmt.Fprintf(&t, "| | target | %s | | | | | | |\n", strings.Join(verdicts, "; "))
		}
		quiet = b
	}
	return t.String()
}

const tableHead = "| work | server | requests/s | p50 | p99 | p99.9 | server CPU/request | written/byte | memory |\n" +
	"| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"

// line writes the medians of one server.
func (b *comparison) line(t *strings.Builder, name, server string) {
	fmt.Fprintf(t, "| %s | %s | %s | %s | %s | %s | %.1f us | %s | %s |\n", name, server,
		grouped(b.medianOf(server, rateOf)), micros(b.medianOf(server, p50Of)), micros(b.medianOf(server, p99Of)),
		micros(b.medianOf(server, p999Of)), b.medianOf(server, cpuOf), b.written(server), mebibytes(b.medianOf(server, memoryOf)))
}

// compare writes a line of ratios, if both were measured.
func (b *comparison) compare(t *strings.Builder, over, under string) {
	if len(b.pair(over, under, rateOf)) == 0 {
		return
	}
	var written, memory ratios
	if under != bareName && under != raftName {
		memory = b.pair(over, under, memoryOf)
		if b.workload.value > 0 {
			written = b.pair(over, under, writtenOf)
		}
	}
	fmt.Fprintf(t, "| | %s : %s | %v | %v | %v | %v | %v | %v | %v |\n", over, under, b.pair(over, under, rateOf),
		b.pair(over, under, p50Of), b.pair(over, under, p99Of), b.pair(over, under, p999Of), b.pair(over, under, cpuOf), written, memory)
}

// written formats how many bytes a server wrote to disk for each byte of value.
func (b *comparison) written(server string) string {
	if w := b.writtenOf(server); w > 0 {
		return short(w)
	}
	return "–"
}

func (b *comparison) writtenOf(server string) float64 {
	if b.workload.value == 0 {
		return 0
	}
	return b.medianOf(server, writtenOf) / float64(b.workload.value)
}

// verdicts report for each target whether the median meets it. quiet is the
// workload before this one.
func (b *comparison) verdicts(copse string, quiet *comparison) []string {
	var list []string
	etcd, w := string(peer.Etcd35), b.workload.targets
	judge := func(what string, r ratios, limit float64, atLeast bool) {
		if limit > 0 && len(r) > 0 {
			list = append(list, verdict(what, r, limit, atLeast))
		}
	}
	judge("requests/s", b.pair(copse, etcd, rateOf), w.rateAtLeast, true)
	judge("CPU", b.pair(copse, etcd, cpuOf), w.cpuAtMost, false)
	judge("p50", b.pair(copse, etcd, p50Of), w.p50AtMost, false)
	judge("p99", b.pair(copse, etcd, p99Of), w.p99AtMost, false)
	judge("of bare", b.pair(copse, bareName, rateOf), w.ofBareAtLeast, true)
	if len(b.readings[copse]) > 0 {
		judge("written/byte", ratios{b.writtenOf(copse)}, w.writtenAtMost, false)
	}
	if quiet != nil && w.quietAtMost > 0 {
		judge("p99 to the quiet p99", ratios{b.medianOf(copse, p99Of) / quiet.medianOf(copse, p99Of)}, w.quietAtMost, false)
	}
	return list
}

// verdict reports whether the median meets the limit.
func verdict(what string, r ratios, limit float64, atLeast bool) string {
	got, sign := median(r), "≤"
	met := got <= limit
	if atLeast {
		sign, met = "≥", got >= limit
	}
	word := "met"
	if !met {
		word = "**missed**"
	}
	return fmt.Sprintf("%s %s %s: %s, %s", what, sign, short(limit), short(got), word)
}

// grouped prints a number with commas between thousands.
func grouped(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// noise reports how much of the machine other processes used meanwhile.
func noise(l lineup, comparisons []*comparison) string {
	var all []float64
	for _, b := range comparisons {
		for _, server := range l.names() {
			for _, r := range b.readings[server] {
				all = append(all, r.others)
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("other work on the machine: %.2f cores (median; %.2f at most)", median(all), slices.Max(all))
}
