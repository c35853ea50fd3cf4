package importer

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// progress shows on a terminal how much has been read. A nil one shows nothing.
type progress struct {
	terminal    io.Writer
	read, shown int64 // bytes
	answers     int   // of a running etcd, of which some take long and are short
	drawn       bool
}

// newProgress returns nil if w is no terminal.
func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return nil
	}
	return &progress{terminal: w}
}

// The count is shown again after so many bytes, or so many answers.
const (
	progressStep = 4 << 20
	answerStep   = 10
)

func (p *progress) count(n int) {
	if p.read += int64(n); p.read-p.shown >= progressStep {
		p.shown = p.read
		p.draw()
	}
}

// answer counts one answer.
func (p *progress) answer() {
	if p == nil {
		return
	}
	if p.answers++; p.answers%answerStep == 0 {
		p.draw()
	}
}

func (p *progress) draw() {
	text := fmt.Sprintf("\rread %d MiB", p.read>>20)
	if p.answers > 0 {
		text += fmt.Sprintf(" in %d answers", p.answers)
	}
	_, _ = io.WriteString(p.terminal, text) // it is only shown
	p.drawn = true
}

// end wipes the line.
func (p *progress) end() {
	if p != nil && p.drawn {
		_, _ = fmt.Fprint(p.terminal, "\r\033[K") // it is only shown
	}
}

// of returns the files of a directory. What is read of them is counted.
func (p *progress) of(dir string) fs.FS {
	if p == nil {
		return os.DirFS(dir)
	}
	return countingFS{os.DirFS(dir), p}
}

type countingFS struct {
	fs.FS
	progress *progress
}

// Open implements fs.FS.
func (c countingFS) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if file, ok := f.(*os.File); ok && err == nil {
		return countingFile{file, c.progress}, nil
	}
	return f, err
}

type countingFile struct {
	*os.File
	progress *progress
}

// ReadAt implements io.ReaderAt.
func (c countingFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := c.File.ReadAt(b, offset)
	c.progress.count(n)
	return n, err
}

// reading returns a reader of in that counts the bytes.
func (p *progress) reading(in io.Reader) io.Reader {
	if p == nil {
		return in
	}
	return countingReader{in, p}
}

type countingReader struct {
	io.Reader
	progress *progress
}

func (c countingReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.progress.count(n)
	return n, err
}
