package httpfront

import (
	"bytes"
	"html"
	"net/url"
	"path"

	"github.com/valyala/fasthttp"
)

// targetOf returns the target of a request. That of CONNECT may be an authority, perhaps with a path
// behind it.
func targetOf(ctx *fasthttp.RequestCtx) (target []byte, ok bool) {
	target = ctx.RequestURI()
	if !ctx.IsConnect() || bytes.HasPrefix(target, []byte{'/'}) {
		return target, true
	}
	target = append([]byte("http://"), target...)
	_, err := url.ParseRequestURI(string(target))
	return target, err == nil
}

// splitTarget cuts a request target, in origin or absolute form, into its raw
// path and raw query. A '#' has no meaning here: it is part of the path.
func splitTarget(target []byte) (rawPath, query []byte) {
	rawPath, query, _ = bytes.Cut(target, []byte{'?'})
	if len(rawPath) > 0 && rawPath[0] == '/' {
		return rawPath, query
	}
	if _, rest, ok := bytes.Cut(rawPath, []byte("://")); ok {
		i := bytes.IndexByte(rest, '/')
		if i < 0 {
			return nil, query
		}
		return rest[i:], query
	}
	return rawPath, query
}

// decodePath decodes percent-encoding. It returns raw itself if there is none. Any byte may
// be encoded, also the slash; '+' is a plus.
func decodePath(raw []byte) (decoded []byte, ok bool) {
	i := bytes.IndexByte(raw, '%')
	if i < 0 {
		return raw, true
	}
	decoded = append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return nil, false
			}
			hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
			if hi > 15 || lo > 15 {
				return nil, false
			}
			c = hi<<4 | lo
			i += 2
		}
		decoded = append(decoded, c)
		i++
	}
	return decoded, true
}

// unhex returns the value of a hexadecimal digit, and 255 for anything else.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// isClean reports whether p is absolute and free of empty, "." and ".." names;
// one slash at the end is fine.
func isClean(p []byte) bool {
	if len(p) == 0 || p[0] != '/' {
		return false
	}
	for i := 0; i+1 < len(p); i++ {
		if p[i] != '/' || p[i+1] != '/' && p[i+1] != '.' {
			continue
		}
		name := p[i+1:]
		if end := bytes.IndexByte(name, '/'); end >= 0 {
			name = name[:end]
		}
		if s := string(name); s == "" || s == "." || s == ".." {
			return false
		}
	}
	return true
}

// cleanPath is what an unclean path is redirected to. Dots never climb above
// the root, and a slash at the end stays.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if p != "" && p[len(p)-1] == '/' && clean != "/" {
		clean += "/"
	}
	return clean
}

// redirectToClean answers a request for an unclean path, of any route, with a 301 to the
// clean path and the unchanged query.
func redirectToClean(ctx *fasthttp.RequestCtx, m method, decoded, query []byte) {
	target := url.URL{Path: cleanPath(string(decoded)), RawQuery: string(query)}
	location := target.String()
	h := &ctx.Response.Header
	h.SetStatusCode(fasthttp.StatusMovedPermanently)
	h.Set("Location", escapeNonASCII(location))
	if m != methodGet && m != methodHead {
		return
	}
	h.SetContentType("text/html; charset=utf-8")
	ctx.Response.SetBodyString(`<a href="` + html.EscapeString(location) + "\">Moved Permanently</a>.\n\n")
}

// escapeNonASCII percent-encodes the bytes of a query that a header line
// can't carry.
func escapeNonASCII(s string) string {
	const digits = "0123456789abcdef"
	var out []byte
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x80 {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}
