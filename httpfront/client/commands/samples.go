package commands

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// sample is one line of an operations port's metrics.
type sample struct {
	labels string // as written, without the braces
	value  float64
}

// samples are by the metric's name.
type samples map[string][]sample

// parseSamples reads the text format of Prometheus, as far as copse writes it.
func parseSamples(text []byte) samples {
	all := samples{}
	for line := range bytes.Lines(text) {
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		text := strings.TrimSpace(string(line))
		end := strings.LastIndexByte(text, ' ') // copse writes no times behind the values
		if end < 0 {
			continue
		}
		series, number := strings.TrimSuffix(text[:end], "}"), text[end+1:]
		name, labels, _ := strings.Cut(series, "{")
		if value, err := strconv.ParseFloat(number, 64); err == nil {
			all[name] = append(all[name], sample{labels, value})
		}
	}
	return all
}

// sum adds the values whose labels have all the given texts in them.
func (s samples) sum(name string, labels ...string) (sum float64) {
	for _, one := range s[name] {
		if !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(one.labels, l) }) {
			sum += one.value
		}
	}
	return sum
}

func (s samples) largest(name string) (most float64) {
	for _, one := range s[name] {
		most = max(most, one.value)
	}
	return most
}

// labels lists the values of a label.
func (s samples) labels(name, label string) (list []string) {
	for _, one := range s[name] {
		_, rest, _ := strings.Cut(one.labels, label+`="`)
		value, _, _ := strings.Cut(rest, `"`)
		list = append(list, value)
	}
	return list
}

// label is one as written.
func label(name, value string) string { return name + `="` + value + `"` }
