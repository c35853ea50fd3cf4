package tree

import (
	"path"
	"strings"
)

// Clean turns the decoded path behind /v2/keys into a key: absolute, without
// a trailing slash, without empty, "." or ".." names. It never climbs above
// the root.
func Clean(p string) string {
	return path.Clean("/" + p)
}

// Parent returns the key of the directory that holds key; the root's is "/".
func Parent(key string) string {
	i := strings.LastIndexByte(key, '/')
	if i <= 0 {
		return "/"
	}
	return key[:i]
}

// Child returns the key of name inside the directory dir.
func Child(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// Within reports whether key lies strictly below the directory dir.
func Within(dir, key string) bool {
	if dir == "/" {
		return len(key) > 1
	}
	return len(key) > len(dir) && key[len(dir)] == '/' && key[:len(dir)] == dir
}

// HiddenBelow reports whether key, which is dir or lies within it, has a
// hidden name ("_…") behind the part that is dir: a recursive watcher or a
// listing of dir doesn't show it.
func HiddenBelow(dir, key string) bool {
	if dir == "/" {
		dir = ""
	}
	return strings.Contains(key[len(dir):], "/_")
}
