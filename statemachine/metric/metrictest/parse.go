package metrictest

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Scrape holds the families of a scrape, by name.
type Scrape map[string]*Family

// Family is one family of a scrape.
type Family struct {
	Name, Kind, Help string
	Samples          []Sample
}

// Sample is one line of a family. Name is the family's name with a suffix like _sum.
type Sample struct {
	Name   string
	Labels map[string]string
	Value  float64
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	kinds      = []string{"counter", "gauge", "histogram", "summary"}
)

// Parse parses a scrape. Each family must consist of its help, its type and its
// samples, without other families between them; no sample may occur twice; counters
// must not be negative; and a histogram's buckets must ascend to its count.
func Parse(text []byte) (Scrape, error) {
	s := Scrape{}
	var f *Family
	help := ""
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return nil, fmt.Errorf("last line has no newline")
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		err := error(nil)
		switch {
		case strings.HasPrefix(line, "# HELP "):
			name, text, ok := strings.Cut(line[len("# HELP "):], " ")
			if !ok || text == "" || s[name] != nil {
				err = fmt.Errorf("help without text, or second help for this name")
			}
			f, help = &Family{Name: name, Help: text}, name
		case strings.HasPrefix(line, "# TYPE "):
			name, kind, _ := strings.Cut(line[len("# TYPE "):], " ")
			if help != name || !slices.Contains(kinds, kind) || !metricName.MatchString(name) {
				err = fmt.Errorf("type without help before it, or unknown type")
				break
			}
			f.Kind, help = kind, ""
			s[name] = f
		case f == nil || help != "":
			err = fmt.Errorf("sample outside a family")
		default:
			err = f.add(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w: %q", n, err, line)
		}
	}
	for _, f := range s {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return s, nil
}

// suffixes returns the suffixes that samples of this kind add to the family's name.
func (f *Family) suffixes() []string {
	switch f.Kind {
	case "histogram":
		return []string{"_bucket", "_sum", "_count"}
	case "summary":
		return []string{"", "_sum", "_count"}
	}
	return []string{""}
}

func (f *Family) add(line string) error {
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return fmt.Errorf("no value")
	}
	p := Sample{Name: line[:end], Labels: map[string]string{}}
	suffix, ok := strings.CutPrefix(p.Name, f.Name)
	if !ok || !slices.Contains(f.suffixes(), suffix) {
		return fmt.Errorf("sample doesn't belong to family %s", f.Name)
	}
	rest := line[end:]
	if rest[0] == '{' {
		var err error
		if rest, err = p.readLabels(rest[1:]); err != nil {
			return err
		}
	}
	value, ok := strings.CutPrefix(rest, " ")
	if !ok {
		return fmt.Errorf("no space before the value")
	}
	var err error
	if p.Value, err = strconv.ParseFloat(value, 64); err != nil {
		return err
	}
	for _, other := range f.Samples {
		if other.id() == p.id() {
			return fmt.Errorf("duplicate sample")
		}
	}
	f.Samples = append(f.Samples, p)
	return nil
}

// readLabels reads name="value" pairs up to the closing brace.
func (p *Sample) readLabels(text string) (rest string, err error) {
	for {
		name, after, ok := strings.Cut(text, `="`)
		if _, twice := p.Labels[name]; !ok || twice || !labelName.MatchString(name) {
			return "", fmt.Errorf("invalid or duplicate label: %q", text)
		}
		value, i := "", 0
		for ; i < len(after) && after[i] != '"'; i++ {
			if after[i] != '\\' {
				value += after[i : i+1]
				continue
			}
			i++
			plain, ok := map[byte]string{'\\': `\`, 'n': "\n", '"': `"`}[(after + " ")[i]]
			if !ok {
				return "", fmt.Errorf("unknown escape in %q", after)
			}
			value += plain
		}
		if i+1 >= len(after) {
			return "", fmt.Errorf("unterminated label: %q", after)
		}
		p.Labels[name] = value
		switch after[i+1] {
		case '}':
			return after[i+2:], nil
		case ',':
			text = after[i+2:]
		default:
			return "", fmt.Errorf("no comma after a label: %q", after)
		}
	}
}

// id identifies a sample by its name and labels.
func (p *Sample) id() string { return p.Name + p.without("") }

// without prints all labels but one.
func (p *Sample) without(label string) string {
	var list []string
	for name, value := range p.Labels {
		if name != label {
			list = append(list, name+"="+strconv.Quote(value))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

func (f *Family) check() error {
	switch f.Kind {
	case "counter":
		for _, p := range f.Samples {
			if p.Value < 0 || math.IsNaN(p.Value) {
				return fmt.Errorf("counter has the value %v", p.Value)
			}
		}
	case "histogram":
		return f.checkBuckets()
	}
	return nil
}

// checkBuckets checks each histogram of the family.
func (f *Family) checkBuckets() error {
	type state struct{ le, count float64 }
	at := map[string]state{}
	for _, p := range f.Samples {
		id := p.without("le")
		switch p.Name {
		case f.Name + "_bucket":
			le, err := strconv.ParseFloat(p.Labels["le"], 64)
			last, known := at[id]
			if err != nil || known && (le <= last.le || p.Value < last.count) {
				return fmt.Errorf("bucket %v with count %v is out of order", p.Labels, p.Value)
			}
			at[id] = state{le, p.Value}
		case f.Name + "_count":
			if last := at[id]; !math.IsInf(last.le, 1) || last.count != p.Value {
				return fmt.Errorf("{%s} has the count %v, but %v in its last bucket", id, p.Value, last.count)
			}
		}
	}
	return nil
}

// Value returns the sum of the samples called name that have all the given labels
// (alternating names and values), and false if there are none.
func (s Scrape) Value(name string, labels ...string) (float64, bool) {
	sum, found := 0.0, false
	for _, f := range s {
		for _, p := range f.Samples {
			if p.Name == name && p.has(labels) {
				sum, found = sum+p.Value, true
			}
		}
	}
	return sum, found
}

func (p *Sample) has(labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		if p.Labels[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}
