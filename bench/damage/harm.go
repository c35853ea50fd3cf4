package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Harm is one damage to one file. It is chosen by where the file's data ends, since most
// of a segment of the raft log is still unused.
type Harm struct {
	File  string // below the data directory
	Kind  string // flip, cut, empty or remove
	Bits  []int  // flip: which ones
	Bytes int64  // cut: how many remain
}

func (h Harm) String() string {
	switch h.Kind {
	case "flip":
		return fmt.Sprintf("flip bits %v of %s", h.Bits, h.File)
	case "cut":
		return fmt.Sprintf("cut %s to %d bytes", h.File, h.Bytes)
	}
	return h.Kind + " " + h.File
}

// Plan draws the harms of a sample: first every file removed and emptied, and every
// directory removed, then what chance brings.
type Plan struct {
	files []string
	fixed []Harm
	sizes map[string][2]int64 // size, and where the data ends
	seed  uint64
}

// NewPlan reads the files of dir, which must not change. Only those whose paths match
// are damaged.
func NewPlan(dir string, match *regexp.Regexp, seed uint64) (*Plan, error) {
	p := &Plan{sizes: map[string][2]int64{}, seed: seed}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || !match.MatchString(name) {
			return err
		}
		p.fixed = append(p.fixed, Harm{File: name, Kind: "remove"})
		if d.IsDir() {
			return nil
		}
		p.fixed = append(p.fixed, Harm{File: name, Kind: "empty"})
		content, err := os.ReadFile(path)
		if len(content) > 0 {
			used := len(strings.TrimRight(string(content), "\x00"))
			p.files = append(p.files, name)
			p.sizes[name] = [2]int64{int64(len(content)), int64(max(used, 1))}
		}
		return err
	})
	if err == nil && len(p.files) == 0 {
		err = errors.New(dir + " has no files")
	}
	return p, err
}

// Harm is the one of the given number.
func (p *Plan) Harm(number int) Harm {
	if number < len(p.fixed) {
		return p.fixed[number]
	}
	rng := rand.New(rand.NewPCG(p.seed, uint64(number)))
	h := Harm{File: p.files[rng.IntN(len(p.files))]}
	end := p.sizes[h.File][1]
	if rng.IntN(8) == 0 {
		end = p.sizes[h.File][0]
	}
	if rng.IntN(4) == 0 {
		h.Kind, h.Bytes = "cut", rng.Int64N(end)
		return h
	}
	h.Kind = "flip"
	for range 1 + rng.IntN(2)*rng.IntN(8) { // mostly one
		h.Bits = append(h.Bits, int(rng.Int64N(end*8)))
	}
	slices.Sort(h.Bits)
	h.Bits = slices.Compact(h.Bits)
	return h
}

// Do harms the copy of the sample in dir.
func (h Harm) Do(dir string) error {
	path := filepath.Join(dir, h.File)
	switch h.Kind {
	case "remove":
		return os.RemoveAll(path)
	case "empty":
		return os.Truncate(path, 0)
	case "cut":
		return os.Truncate(path, h.Bytes)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, bit := range h.Bits {
		content[bit/8] ^= 1 << (bit % 8)
	}
	return os.WriteFile(path, content, 0o600)
}
