package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"copse/config/build"
)

// publish makes everything, and SHA256SUMS last.
func (r *release) publish() error {
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	modules, err := linked(r.source)
	if err != nil {
		return err
	}
	var common []file
	for _, arch := range r.arch {
		binary, err := r.build(arch)
		if err != nil {
			return err
		}
		if common == nil {
			if common, err = r.common(binary); err != nil {
				return err
			}
		}
		if err := r.pack(arch, binary, common, modules); err != nil {
			return err
		}
	}
	return r.sums()
}

// pack makes what contains one binary.
func (r *release) pack(arch, binary string, common []file, modules []module) error {
	body, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	files := append(slices.Clone(common), file{path: "usr/bin/copse", body: body, mode: 0o755})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	for _, made := range []struct {
		path string
		make func(arch string, files []file) ([]byte, error)
	}{
		{r.name(arch, ".tar.gz"), r.archive},
		{filepath.Join(r.out, "copse_"+build.Version+"_"+arch+".deb"), r.deb},
		{filepath.Join(r.out, "copse-"+build.Version+"-1."+rpmArch[arch]+".rpm"), r.rpm},
		{r.name(arch, ".spdx.json"), func(arch string, _ []file) ([]byte, error) { return r.spdx(arch, binary, modules) }},
	} {
		text, err := made.make(arch, files)
		if err == nil {
			err = os.WriteFile(made.path, text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("make %s: %w", made.path, err)
		}
	}
	return nil
}

func (r *release) sums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(text), e.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(list.String()), 0o644)
}
