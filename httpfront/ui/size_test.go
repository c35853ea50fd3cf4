package ui_test

import (
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"testing"

	"copse/httpfront/ui"
)

const sizeLimit = 150 << 10 // bytes of all files

// The page is small, asks nobody else, and has no script or style within its HTML, which its
// own policy would refuse.
func TestThePageIsSmallAndItsOwn(t *testing.T) {
	foreign := regexp.MustCompile(`(?i)(src|href)="(https?:)?//|import .*https?:|url\(.?(https?:)?//|innerHTML|insertAdjacentHTML|localStorage|sessionStorage|document\.cookie`)
	inline := regexp.MustCompile(`(?i)<script(?: [^>]*)?>[^<]|<style| style=| on[a-z]+="`)
	p, total := ui.New(ui.Options{Log: slog.New(slog.DiscardHandler)}), 0
	err := fs.WalkDir(os.DirFS("page"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, ok := p.File(name)
		if !ok || f.Type == "" {
			t.Errorf("%s isn't served, or without its type", name)
		}
		total += len(f.Body)
		if found := foreign.Find(f.Body); found != nil {
			t.Errorf("%s has %s", name, found)
		}
		if found := inline.Find(f.Body); found != nil && name == "index.html" {
			t.Errorf("%s has %s", name, found)
		}
		return nil
	})
	if err != nil || total > sizeLimit || total < 10<<10 {
		t.Errorf("%d bytes: %v", total, err)
	}
}
