package ui

import (
	"embed"
	"path"

	"copse/deploy/prometheus"
)

// Prefix is the path of the page.
const Prefix = "/ui"

// Headers of all files. The page runs its own scripts and asks its own origin, and nothing
// else; nor can another page show it in a frame. Its files change with the server only, but
// must not outlive it.
var Headers = [][2]string{
	{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cache-Control", "no-cache"},
}

//go:embed page
var files embed.FS

// File is a file of the page.
type File struct {
	Type string // for Content-Type
	Body []byte // not to be changed
}

// types are those of the page's files: the system's list may be missing or odd.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".yaml": "text/plain; charset=utf-8", ".json": "application/json",
}

// File returns a file by its path below Prefix; "" is the page itself.
func (p *Page) File(name string) (File, bool) {
	switch name {
	case "":
		name = "index.html"
	case "settings.json":
		return File{types[".json"], p.settings}, true
	case "alerts.yaml":
		return File{types[".yaml"], prometheus.Alerts}, true
	}
	body, err := files.ReadFile("page/" + path.Clean(name))
	if err != nil {
		return File{}, false
	}
	return File{types[path.Ext(name)], body}, true
}
