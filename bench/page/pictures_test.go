package page

import (
	"bytes"
	"flag"
	"image"
	"image/color/palette"
	"image/draw"
	"image/png"
	"os"
	"testing"
)

var (
	pictures = flag.String("pictures", "", "a folder for pictures of every view")
	update   = flag.Bool("update", false, "renew the pictures in docs/pictures")
)

// pictureLimit bounds a picture of the README, in bytes.
const pictureLimit = 100 << 10

// The README's pictures show what a member shows.
func TestPictures(t *testing.T) {
	t.Parallel()
	m := startMembers(t, 3, "--ui=write")[0]
	m.sample(t)
	b := open(t, m.operations, 1180)
	dir := t.TempDir()
	b.node("/config/web/limits")
	b.sees(`"per_second": 250`)
	b.await("the member is ready", `document.querySelector('.health.good')`)
	b.picture("keys", dir)
	b.scheme("dark")
	b.goTo("#/cluster")
	b.await("the cluster", `document.querySelectorAll('td').length > 5 && document.querySelectorAll('.checks li').length > 5`)
	b.picture("cluster", dir)
	for _, name := range []string{"keys", "cluster"} {
		small := shrink(t, dir+"/"+name+".png")
		if len(small) > pictureLimit {
			t.Errorf("%s takes %d bytes", name, len(small))
		}
		to := "../../docs/pictures/" + name + ".png"
		if *update {
			if err := os.WriteFile(to, small, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if was, err := os.Stat(to); err != nil || was.Size() > pictureLimit {
			t.Errorf("%s: %v; make pictures renews it", to, err)
		}
	}
}

// shrink is a picture with a palette, which is all that such a page needs.
func shrink(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) <= pictureLimit {
		return raw
	}
	few := image.NewPaletted(full.Bounds(), palette.Plan9)
	draw.Draw(few, few.Bounds(), full, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
