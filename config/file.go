package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"copse/config/cli"
)

// addFile collects the settings of the file that config-file names, if any.
func (t texts) addFile(read func(path string) ([]byte, error)) []error {
	at, ok := t["config-file"]
	if !ok || at.text == "" {
		return nil
	}
	b, err := read(at.text)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", at.name, err)}
	}
	f := fileReader{path: at.text, texts: t, lines: map[string]int{}}
	f.read(b)
	return f.complaints
}

// fileReader reads one file.
type fileReader struct {
	path       string
	texts      texts
	lines      map[string]int // where each flag is set
	complaints []error
}

// complain reports a problem in a line of the file.
func (f *fileReader) complain(line int, format string, args ...any) {
	f.complaints = append(f.complaints, fmt.Errorf("%s:%d: %s", f.path, line, fmt.Sprintf(format, args...)))
}

func (f *fileReader) read(b []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return // an empty file sets nothing
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			err = errors.New("more than one document")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		f.complaints = append(f.complaints, fmt.Errorf("%s: invalid YAML: %s", f.path, strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	f.mapping(document.Content[0], "", knownFlags())
}

// mapping reads the pairs of the file, or of one section.
func (f *fileReader) mapping(node *yaml.Node, section string, known []string) {
	if isNull(node) {
		return // nothing but comments
	}
	if node.Kind != yaml.MappingNode {
		f.complain(node.Line, "settings have the form name: value")
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch name := key.Value; {
		case key.Kind != yaml.ScalarNode:
			f.complain(key.Line, "the name of a setting must be plain text")
		case section == "" && isSection(name):
			f.mapping(value, name, sectionKeys(name))
		case name == "config-file":
			f.complain(key.Line, "config-file can't be set in a file: only one is read")
		case !slices.Contains(known, name):
			f.complain(key.Line, "unknown setting %s; did you mean %s?", name, cli.Nearest(name, known))
		default:
			f.value(name, sectionFlag(section, name), key.Line, value)
		}
	}
}

// value takes one setting.
func (f *fileReader) value(name, flag string, line int, node *yaml.Node) {
	if before, twice := f.lines[flag]; twice {
		f.complain(line, "%s is already set in line %d", name, before)
		return
	}
	f.lines[flag] = line
	text, ok := plainText(node)
	if !ok {
		f.complain(line, "%s must be one value or a list of values", name)
		return
	}
	if isNull(node) {
		return // as with etcd, nothing is set
	}
	f.texts.put(flag, given{
		text:   text,
		rank:   rankFile,
		origin: fmt.Sprintf("file %s, line %d", f.path, line),
		name:   fmt.Sprintf("%s:%d: %s", f.path, line, name),
	})
}

// plainText is a scalar as written in the file, or a list of them in the form of a flag.
func plainText(node *yaml.Node) (string, bool) {
	if node.Kind != yaml.SequenceNode {
		node = target(node)
		return node.Value, node.Kind == yaml.ScalarNode
	}
	var items []string
	for _, item := range node.Content {
		item = target(item)
		if item.Kind != yaml.ScalarNode {
			return "", false
		}
		items = append(items, item.Value)
	}
	return printList(items), true
}

// target resolves a YAML alias.
func target(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode && node.Alias != nil {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	node = target(node)
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// etcd's files have the TLS settings in two sections, under shorter names.
const (
	clientSection = "client-transport-security"
	peerSection   = "peer-transport-security"
)

func isSection(name string) bool { return name == clientSection || name == peerSection }

// sectionKeys are a section's names of flags.
func sectionKeys(section string) []string {
	all := []string{"cert-file", "key-file", "trusted-ca-file", "client-cert-auth", "auto-tls", "ca-file", "client-cert-file", "client-key-file", "allowed-cn", "allowed-hostname"}
	known := knownFlags()
	return slices.DeleteFunc(all, func(key string) bool { return !slices.Contains(known, sectionFlag(section, key)) })
}

func sectionFlag(section, key string) string {
	allowed := strings.HasPrefix(key, "allowed-")
	switch {
	case allowed && section == peerSection:
		return "peer-cert-" + key
	case allowed:
		return "client-cert-" + key
	case section == peerSection:
		return "peer-" + key
	default:
		return key
	}
}
