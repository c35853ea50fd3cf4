package main

import (
	"fmt"
	"slices"
	"strings"
)

// results collects the measurements, row by row.
type results struct {
	servers []string
	now     string // whose turn it is
	rows    []*row
	notes   []string // below the table
}

// row is one quantity; values are by server, one for each turn or more.
type row struct {
	name   string
	format func(float64) string
	values map[string][]float64
}

func newResults(field []contender) *results {
	r := &results{}
	for _, c := range field {
		r.servers = append(r.servers, c.name)
	}
	return r
}

func (r *results) turn(server string) { r.now = server }

// add records a value of the server whose turn it is.
func (r *results) add(name string, format func(float64) string, values ...float64) {
	i := slices.IndexFunc(r.rows, func(row *row) bool { return row.name == name })
	if i < 0 {
		i = len(r.rows)
		r.rows = append(r.rows, &row{name, format, map[string][]float64{}})
	}
	r.rows[i].values[r.now] = append(r.rows[i].values[r.now], values...)
}

// note puts a paragraph below the table.
func (r *results) note(text string) { r.notes = append(r.notes, text) }

// markdown is the table of medians, with the ratio of each server to the last:
// below 1 is less than the original.
func (r *results) markdown() string {
	var b strings.Builder
	b.WriteString("| median |")
	last := len(r.servers) - 1
	for _, server := range r.servers {
		fmt.Fprintf(&b, " %s |", server)
	}
	for _, server := range r.servers[:last] {
		fmt.Fprintf(&b, " %s : %s |", server, r.servers[last])
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(r.servers)+last) + "\n")
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s |", row.name)
		for _, server := range r.servers {
			if len(row.values[server]) == 0 {
				b.WriteString(" – |")
				continue
			}
			fmt.Fprintf(&b, " %s |", row.format(median(row.values[server])))
		}
		for _, server := range r.servers[:last] {
			fmt.Fprintf(&b, " %s |", ratio(median(row.values[server]), median(row.values[r.servers[last]])))
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
