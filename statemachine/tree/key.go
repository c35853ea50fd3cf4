package tree

import (
	"path"
	"strings"
)

// Clean turns the decoded path after /v2/keys into a key: absolute, without a
// trailing slash and without empty, "." or ".." names. A ".." in the root stays in
// the root.
func Clean(p string) string {
	return path.Clean("/" + p)
}

// Parent returns the key of the directory that contains key; the root's is "/".
func Parent(key string) string {
	i := strings.LastIndexByte(key, '/')
	if i <= 0 {
		return "/"
	}
	return key[:i]
}

// TopName returns the top-level name of key; the root's is empty.
func TopName(key string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	return name
}

// child returns the key of the entry name in the directory dir.
func child(dir, name string) string {
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

// HiddenBelow reports whether a name in key after the part that is dir is hidden
// (starts with "_"), so that a listing or a recursive watcher of dir doesn't show key.
// key must be dir or lie below it.
func HiddenBelow(dir, key string) bool {
	if dir == "/" {
		dir = ""
	}
	return strings.Contains(key[len(dir):], "/_")
}
