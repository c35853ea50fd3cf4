package build

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
)

// licenses has the licences of everything that is linked, as compressed text. It is made by
// go run ./release -licenses in bench, whose tests notice when it is outdated.
//
//go:embed licenses.gz
var licenses []byte

// WriteLicenses writes the licences of copse and of everything that is linked into it.
func WriteLicenses(w io.Writer) error {
	r, err := gzip.NewReader(bytes.NewReader(licenses))
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err != nil {
		return fmt.Errorf("print licences: %w", err)
	}
	return nil
}
