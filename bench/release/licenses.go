package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a module that is linked, and the texts of its licences.
type module struct {
	name  string
	texts []string
}

var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice)(\..*)?$`)

// linked are the modules of which a package is linked into copse on any architecture, and Go
// itself. source is copse's directory.
func linked(source string) ([]module, error) {
	dirs := map[string][]string{} // by module
	for _, arch := range architectures {
		out, err := goCommand(source, arch, "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}\t{{.Dir}}", ".")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			fields := strings.Split(strings.TrimSpace(line), "\t")
			if len(fields) != 3 {
				continue // of Go's library
			}
			name := strings.TrimSpace(fields[0])
			for dir := fields[2]; strings.HasPrefix(dir, fields[1]); dir = filepath.Dir(dir) { // up to the module's
				if !slices.Contains(dirs[name], dir) {
					dirs[name] = append(dirs[name], dir)
				}
			}
		}
	}
	root, err := goCommand(source, architectures[0], "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	dirs["Go's library"] = []string{strings.TrimSpace(root)}
	var list []module
	for name, in := range dirs {
		m := module{name: name}
		slices.Sort(in)
		for _, dir := range in {
			if m.texts, err = appendTexts(m.texts, dir); err != nil {
				return nil, err
			}
		}
		if len(m.texts) == 0 {
			return nil, fmt.Errorf("%s has no licence in %v", name, in)
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b module) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

func appendTexts(texts []string, dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenseFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if clean := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")); !slices.Contains(texts, clean) {
			texts = append(texts, clean)
		}
	}
	return texts, nil
}

// licenseText has each text once, under the names of all modules that have it.
func licenseText(list []module) string {
	names, order := map[[32]byte][]string{}, []string{}
	for _, m := range list {
		for _, text := range m.texts {
			sum := sha256.Sum256([]byte(text))
			if names[sum] == nil {
				order = append(order, text)
			}
			names[sum] = append(names[sum], m.name)
		}
	}
	var b strings.Builder
	for _, text := range order {
		line := strings.Repeat("=", 78)
		fmt.Fprintf(&b, "%s\n%s\n%s\n\n%s\n\n", line, strings.Join(names[sha256.Sum256([]byte(text))], "\n"), line, text)
	}
	return b.String()
}

func writeLicenses(source, path string) error {
	list, err := linked(source)
	if err != nil {
		return err
	}
	text, err := compress([]byte(licenseText(list)))
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
