package main

import (
	"bytes"
	"fmt"
	"path"

	"github.com/google/rpmpack"

	"copse/config/build"
)

const (
	summary     = "server for the etcd v2 HTTP/JSON API"
	description = "copse keeps clients of the API working that etcd removed in 3.6."
	authors     = "The copse authors"
)

// deb is a package for Debian: an ar file of the format's version, what is known of the
// package, and its files (deb(5)).
func (r *release) deb(arch string, files []file) ([]byte, error) {
	size := 0
	var settings string
	for _, f := range files {
		size += len(f.body)
		if f.config {
			settings += "/" + f.path + "\n"
		}
	}
	control, err := r.tar("./", []file{
		{path: "conffiles", body: []byte(settings), mode: 0o644},
		{path: "control", mode: 0o644, body: fmt.Appendf(nil, `Package: copse
Version: %s
Architecture: %s
Maintainer: %s
Installed-Size: %d
Section: database
Priority: optional
Description: %s
 %s
`, build.Version, arch, authors, size>>10, summary, description)},
	})
	if err != nil {
		return nil, err
	}
	data, err := r.tar("./", files)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	for _, part := range []struct {
		name string
		body []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", control}, {"data.tar.gz", data}} {
		fmt.Fprintf(&out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", part.name, r.time.Unix(), 0, 0, "100644", len(part.body))
		out.Write(part.body)
		if len(part.body)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes(), nil
}

// rpmArch are RPM's names of architectures.
var rpmArch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

func (r *release) rpm(arch string, files []file) ([]byte, error) {
	p, err := rpmpack.NewRPM(rpmpack.RPMMetaData{
		Name: "copse", Version: build.Version, Release: "1", Arch: rpmArch[arch], OS: "linux", Summary: summary, Description: description,
		Packager: authors, Licence: "Apache-2.0", Compressor: "gzip:6", BuildTime: r.time, BuildHost: "localhost", // of no machine in particular
	})
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		kind := rpmpack.GenericFile
		switch {
		case f.config:
			kind = rpmpack.ConfigFile | rpmpack.NoReplaceFile
		case path.Dir(f.path) == "usr/share/doc/copse":
			kind = rpmpack.DocFile
		}
		p.AddFile(rpmpack.RPMFile{Name: "/" + f.path, Body: f.body, Mode: uint(f.mode), Owner: "root", Group: "root", MTime: uint32(r.time.Unix()), Type: kind})
	}
	var out bytes.Buffer
	err = p.Write(&out)
	return out.Bytes(), err
}
