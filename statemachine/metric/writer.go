package metric

import (
	"strconv"
	"strings"
)

// ContentType is the content type of Prometheus' text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Kind is the type of a family of samples.
type Kind string

// The kinds that copse uses.
const (
	CounterKind   Kind = "counter"
	GaugeKind     Kind = "gauge"
	HistogramKind Kind = "histogram"
	SummaryKind   Kind = "summary" // a sum and a count, without quantiles
)

// Writer writes families of samples in Prometheus' text format: Family, then its
// samples, then the next Family. Each scrape has its own Writer; the zero Writer is
// ready to use.
type Writer struct {
	buf  []byte
	name string
}

// Bytes returns the text written so far.
func (w *Writer) Bytes() []byte { return w.buf }

// Family begins a family. A name may occur only once per scrape.
func (w *Writer) Family(name string, kind Kind, help string) {
	w.name = name
	w.buf = append(w.buf, "# HELP "...)
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, helpEscaper.Replace(help)...)
	w.buf = append(w.buf, "\n# TYPE "...)
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, kind...)
	w.buf = append(w.buf, '\n')
}

var (
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// Counter writes a family with a single counter.
func (w *Writer) Counter(name, help string, v uint64) {
	w.Family(name, CounterKind, help)
	w.Uint(v)
}

// Gauge writes a family with a single gauge.
func (w *Writer) Gauge(name, help string, v float64) {
	w.Family(name, GaugeKind, help)
	w.Float(v)
}

// Line writes a sample of the family that the caller has formatted.
func (w *Writer) Line(sample string) {
	w.buf = append(append(w.buf, sample...), '\n')
}

// Uint writes one sample of the family. labels alternates names and values.
func (w *Writer) Uint(v uint64, labels ...string) {
	w.head("", labels)
	w.buf = append(strconv.AppendUint(w.buf, v, 10), '\n')
}

// Float writes one sample of the family. labels alternates names and values.
func (w *Writer) Float(v float64, labels ...string) {
	w.head("", labels)
	w.buf = append(appendFloat(w.buf, v), '\n')
}

// Bool writes one sample of the family: 1 for true, 0 for false.
func (w *Writer) Bool(v bool, labels ...string) {
	n := uint64(0)
	if v {
		n = 1
	}
	w.Uint(n, labels...)
}

// Histogram writes the samples of h. A family may have several histograms with
// different labels.
func (w *Writer) Histogram(h *Histogram, labels ...string) {
	// The count is the sum of the buckets rather than a separate counter, so that
	// they agree even if observations come in meanwhile.
	n := uint64(0)
	withLE := append(append(make([]string, 0, len(labels)+2), labels...), "le", "")
	for i, bound := range h.bounds {
		n += h.counts[i].Load()
		withLE[len(withLE)-1] = string(appendFloat(nil, float64(bound)/h.per))
		w.head("_bucket", withLE)
		w.buf = append(strconv.AppendUint(w.buf, n, 10), '\n')
	}
	n += h.counts[len(h.bounds)].Load()
	withLE[len(withLE)-1] = "+Inf"
	w.head("_bucket", withLE)
	w.buf = append(strconv.AppendUint(w.buf, n, 10), '\n')
	w.head("_sum", labels)
	w.buf = append(appendFloat(w.buf, float64(h.sum.Load())/h.per), '\n')
	w.head("_count", labels)
	w.buf = append(strconv.AppendUint(w.buf, n, 10), '\n')
}

// Summary writes one summary of the family: a sum and a count.
func (w *Writer) Summary(sum float64, count uint64, labels ...string) {
	w.head("_sum", labels)
	w.buf = append(appendFloat(w.buf, sum), '\n')
	w.head("_count", labels)
	w.buf = append(strconv.AppendUint(w.buf, count, 10), '\n')
}

func appendFloat(dst []byte, v float64) []byte {
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

func (w *Writer) head(suffix string, labels []string) {
	w.buf = append(w.buf, w.name...)
	w.buf = append(w.buf, suffix...)
	for i := 0; i+1 < len(labels); i += 2 {
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		w.buf = append(w.buf, open)
		w.buf = append(w.buf, labels[i]...)
		w.buf = append(w.buf, '=', '"')
		w.buf = append(w.buf, labelEscaper.Replace(labels[i+1])...)
		w.buf = append(w.buf, '"')
	}
	if len(labels) > 1 {
		w.buf = append(w.buf, '}')
	}
	w.buf = append(w.buf, ' ')
}
