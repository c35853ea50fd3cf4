package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"copse/config/build"
)

// file is one that a package installs. The path has no slash in front.
type file struct {
	path   string
	body   []byte
	mode   int64
	config bool // belongs to the operator once it is there
}

const settingsFile = `# Settings of copse, a line each, such as
# COPSE_NAME=m1
# "copse help" and /usr/share/doc/copse/CONFIG.md list them, "copse config check" checks them.
`

// common are the files without the binary, which is of this machine's architecture and
// prints some of them.
func (r *release) common(binary string) ([]file, error) {
	files := []file{{path: "etc/copse/copse.env", body: []byte(settingsFile), mode: 0o644, config: true}}
	add := func(path string, body []byte) { files = append(files, file{path: path, body: body, mode: 0o644}) }
	for shell, path := range map[string]string{
		"bash": "usr/share/bash-completion/completions/copse",
		"zsh":  "usr/share/zsh/site-functions/_copse",
		"fish": "usr/share/fish/vendor_completions.d/copse.fish",
	} {
		script, err := run(".", nil, binary, "completion", shell)
		if err != nil {
			return nil, err
		}
		add(path, []byte(script))
	}
	help, err := run(".", nil, binary, "help")
	if err != nil {
		return nil, err
	}
	page, err := compress([]byte(r.manual(help)))
	if err != nil {
		return nil, err
	}
	add("usr/share/man/man1/copse.1.gz", page)
	unit, err := os.ReadFile(filepath.Join(r.source, "deploy/systemd/copse.service"))
	if err != nil {
		return nil, err
	}
	add("usr/lib/systemd/system/copse.service", bytes.ReplaceAll(unit, []byte("/usr/local/bin/"), []byte("/usr/bin/")))
	docs, err := filepath.Glob(filepath.Join(r.source, "docs/*.md"))
	if err != nil {
		return nil, err
	}
	for _, doc := range append(docs, filepath.Join(r.source, "LICENSE")) {
		text, err := os.ReadFile(doc)
		if err != nil {
			return nil, err
		}
		add("usr/share/doc/copse/"+filepath.Base(doc), text)
	}
	return files, nil
}

// manual is the man page: what copse help says, as it says it.
func (r *release) manual(help string) string {
	escape := strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n.", "\n\\&.", "\n'", "\n\\&'")
	return fmt.Sprintf(`.TH COPSE 1 "%s" "copse %s"
.SH NAME
copse \- server for the etcd v2 API, and its commands
.SH DESCRIPTION
.nf
%s.fi
.SH SEE ALSO
.B copse help
.I COMMAND
says more of a command. The files in /usr/share/doc/copse are the manual.
`, r.time.Format("2006-01-02"), build.Version, escape.Replace(help))
}

func compress(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// archive is the tar file: the same files in a directory of their own.
func (r *release) archive(arch string, files []file) ([]byte, error) {
	return r.tar("copse-"+build.Version+"-linux-"+arch+"/", files)
}

// tar puts files and the directories that they are in below a prefix, compressed.
func (r *release) tar(prefix string, files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	made := map[string]bool{}
	var dir func(name string) error
	dir = func(name string) error {
		if name == "." || made[name] {
			return nil
		}
		made[name] = true
		if err := dir(path.Dir(name)); err != nil {
			return err
		}
		return w.WriteHeader(r.header(&tar.Header{Typeflag: tar.TypeDir, Name: prefix + name + "/", Mode: 0o755}))
	}
	for _, f := range files {
		err := dir(path.Dir(f.path))
		if err == nil {
			err = w.WriteHeader(r.header(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + f.path, Mode: f.mode, Size: int64(len(f.body))}))
		}
		if err == nil {
			_, err = io.Copy(w, bytes.NewReader(f.body))
		}
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return compress(out.Bytes())
}

func (r *release) header(h *tar.Header) *tar.Header {
	h.ModTime, h.Uname, h.Gname, h.Format = r.time, "root", "root", tar.FormatUSTAR
	return h
}
