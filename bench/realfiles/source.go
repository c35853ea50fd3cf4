package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// file is one regular file, and the key that it becomes.
type file struct {
	path   string
	key    string // raw, as the server keeps it
	hidden bool   // some name below the root of the load begins with _
}

// sum represents a value; all values together may not fit into memory.
type sum [sha256.Size]byte

func sumOf(value []byte) sum { return sha256.Sum256(value) }

// scan finds up to limit files in the roots, in lexical order, so that two runs
// on the same files load the same tree. Each root gets an even share, and what
// smaller ones leave over.
func scan(roots []string, to string, limit int, sizeLimit int64) ([]file, error) {
	found := make([][]file, len(roots))
	for i, root := range roots {
		var err error
		if found[i], err = scanRoot(root, to, sizeLimit); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b []file) int { return len(a) - len(b) })
	var files []file
	for i, some := range found {
		share := (limit - len(files)) / (len(found) - i)
		files = append(files, some[:min(share, len(some))]...)
	}
	return files, nil
}

func scanRoot(root, to string, sizeLimit int64) ([]file, error) {
	var files []file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == root:
			return err
		case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Size() > sizeLimit || !readable(name) {
			return nil // it is gone, too large or not readable: not part of the tree
		}
		key := path.Join(to, filepath.ToSlash(name))
		files = append(files, file{path: name, key: key, hidden: hidden(strings.TrimPrefix(key, to))})
		return nil
	})
	return files, err
}

func readable(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// hidden reports whether a name in the path makes the key hidden.
func hidden(rel string) bool { return strings.Contains(rel, "/_") }

// printed returns bytes as they are after v2 has printed them as JSON and the JSON
// was decoded.
func printed(raw []byte) []byte {
	if utf8.Valid(raw) {
		return raw
	}
	var out bytes.Buffer
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		out.WriteRune(r) // RuneError for each invalid byte
		raw = raw[size:]
	}
	return out.Bytes()
}

// escape makes a key fit for a URL.
func escape(key string) string {
	names := strings.Split(key, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	return strings.Join(names, "/")
}
