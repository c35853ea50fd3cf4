package main

import (
	"fmt"
	"slices"
	"strings"

	"copse/bench/peer"
)

// results collects what was measured, row by row.
type results struct {
	kinds []peer.Kind
	now   peer.Kind // whose turn it is
	rows  []*row
	notes []string // below the table
}

// row is one quantity; values are by server, one for each turn or more.
type row struct {
	name   string
	format func(float64) string
	values map[peer.Kind][]float64
}

func newResults(kinds []peer.Kind) *results { return &results{kinds: kinds} }

func (r *results) turn(kind peer.Kind) { r.now = kind }

// add notes a value of the server whose turn it is.
func (r *results) add(name string, format func(float64) string, values ...float64) {
	i := slices.IndexFunc(r.rows, func(row *row) bool { return row.name == name })
	if i < 0 {
		i = len(r.rows)
		r.rows = append(r.rows, &row{name, format, map[peer.Kind][]float64{}})
	}
	r.rows[i].values[r.now] = append(r.rows[i].values[r.now], values...)
}

// note puts a paragraph below the table.
func (r *results) note(text string) { r.notes = append(r.notes, text) }

// markdown is the table of medians. The ratio is of the first server to the
// last: below 1 is less than the original.
func (r *results) markdown() string {
	var b strings.Builder
	b.WriteString("| median |")
	for _, kind := range r.kinds {
		fmt.Fprintf(&b, " %s |", kind)
	}
	compared := len(r.kinds) > 1
	if compared {
		b.WriteString(" ratio |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(r.kinds)))
	if compared {
		b.WriteString(" ---: |")
	}
	b.WriteString("\n")
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s |", row.name)
		for _, kind := range r.kinds {
			fmt.Fprintf(&b, " %s |", row.format(median(row.values[kind])))
		}
		if compared {
			base := median(row.values[r.kinds[len(r.kinds)-1]])
			fmt.Fprintf(&b, " %s |", ratio(median(row.values[r.kinds[0]]), base))
		}
		b.WriteString("\n")
	}
	for _, note := range r.notes {
		b.WriteString("\n" + note + "\n")
	}
	return b.String()
}

func ratio(a, b float64) string {
	if b <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.3g", a/b)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

func mebibytes(v float64) string { return fmt.Sprintf("%.1f MiB", v/(1<<20)) }
func byteCount(v float64) string { return fmt.Sprintf("%.0f B", v) }
func seconds(v float64) string   { return fmt.Sprintf("%.2f s", v) }
func millis(v float64) string    { return fmt.Sprintf("%.2f ms", v*1e3) }
func rate(v float64) string      { return fmt.Sprintf("%.0f/s", v) }
