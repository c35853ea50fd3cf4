package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"

	"copse/bench/peer"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// colors are the same in all pictures; earlier copses take them from others.
var colors = map[string]color.Color{
	string(peer.Copse):  color.RGBA{R: 0x2a, G: 0x8f, B: 0x4a, A: 0xff},
	string(peer.Etcd35): color.RGBA{R: 0xd0, G: 0x6a, B: 0x1e, A: 0xff},
	bareName:            color.RGBA{R: 0x8a, G: 0x8a, B: 0x8a, A: 0xff},
	raftName:            color.RGBA{R: 0x55, G: 0x66, B: 0xaa, A: 0xff},
}

var others = []color.Color{
	color.RGBA{R: 0xb0, G: 0x3a, B: 0x8c, A: 0xff},
	color.RGBA{R: 0x1e, G: 0x9a, B: 0xb0, A: 0xff},
	color.RGBA{R: 0xc9, G: 0xa2, B: 0x1a, A: 0xff},
}

func (l lineup) color(name string) color.Color {
	if name == l.judged() {
		return colors[string(peer.Copse)]
	}
	if c := colors[name]; c != nil {
		return c
	}
	return others[slices.Index(l.names(), name)%len(others)]
}

// drawAll puts the pictures of a run into dir, if there is one.
func drawAll(dir string, l lineup, comparisons []*comparison) error {
	if dir == "" {
		return nil
	}
	if err := drawBars(filepath.Join(dir, "requests.svg"), "requests each second, copse to etcd 3.5 = 1", l, comparisons, rateOf); err != nil {
		return err
	}
	if err := drawBars(filepath.Join(dir, "cpu.svg"), "server CPU for each request, copse to etcd 3.5 = 1", l, comparisons, cpuOf); err != nil {
		return err
	}
	for _, b := range comparisons {
		if err := drawDelays(filepath.Join(dir, "latency-"+b.workload.short+".svg"), l, b); err != nil {
			return err
		}
	}
	return nil
}

// drawBars draws the ratio of copse to etcd for each workload, with the least
// and the most of the rounds as a whisker.
func drawBars(path, title string, l lineup, comparisons []*comparison, of func(reading) float64) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "ratio (logarithmic), median with least and most of the rounds"
	var values plotter.Values
	var names []string
	var spread ratioSpread
	for i := len(comparisons) - 1; i >= 0; i-- {
		r := comparisons[i].pair(l.judged(), string(peer.Etcd35), of)
		if len(r) == 0 {
			continue
		}
		least, most := r[0], r[0]
		for _, v := range r {
			least, most = min(least, v), max(most, v)
		}
		at := float64(len(values))
		values = append(values, math.Log2(median(r)))
		spread.XYs = append(spread.XYs, plotter.XY{X: math.Log2(median(r)), Y: at})
		spread.XErrors = append(spread.XErrors, struct{ Low, High float64 }{math.Log2(median(r) / least), math.Log2(most / median(r))})
		names = append(names, comparisons[i].workload.short)
	}
	if len(values) == 0 {
		return nil
	}
	bars, err := plotter.NewBarChart(values, vg.Points(12))
	if err != nil {
		return err
	}
	bars.Horizontal = true
	bars.Color = colors[string(peer.Copse)]
	bars.LineStyle.Width = 0
	whiskers, err := plotter.NewXErrorBars(spread)
	if err != nil {
		return err
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	p.Add(grid, bars, whiskers)
	p.NominalY(names...)
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
		var ticks []plot.Tick
		for v := math.Floor(low); v <= math.Ceil(high); v++ {
			ticks = append(ticks, plot.Tick{Value: v, Label: short(math.Exp2(v))})
		}
		return ticks
	})
	return p.Save(22*vg.Centimeter, vg.Length(3+len(values))*vg.Centimeter*0.8, path)
}

type ratioSpread struct {
	plotter.XYs
	plotter.XErrors
}

// drawDelays draws the latency over the share of requests, a nine for each step
// to the right, all rounds together.
func drawDelays(path string, l lineup, b *comparison) error {
	p := plot.New()
	p.Title.Text = b.workload.name
	p.X.Label.Text = "share of the requests, %"
	p.Y.Label.Text = "answered within, ms"
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = plot.TickerFunc(decades)
	p.Add(plotter.NewGrid())
	shares := []float64{0, 50, 90, 99, 99.9, 99.99}
	for _, server := range l.names() {
		all := newDelays()
		for _, r := range b.readings[server] {
			all.Merge(r.delays)
		}
		if all.TotalCount() == 0 {
			continue
		}
		line, err := plotter.NewLine(delayCurve(all))
		if err != nil {
			return err
		}
		line.Color, line.Width = l.color(server), vg.Points(2)
		p.Add(line)
		p.Legend.Add(server, line)
	}
	p.Legend.Top, p.Legend.Left = true, true
	var ticks []plot.Tick
	for _, s := range shares {
		ticks = append(ticks, plot.Tick{Value: nines(s), Label: fmt.Sprint(s)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, path)
}

// nines is how many nines a percentage has, more or less.
func nines(percent float64) float64 { return -math.Log10(1 - percent/100) }

// delayCurve ends where a hundred requests are left, which are too few to tell.
func delayCurve(h *hdrhistogram.Histogram) plotter.XYs {
	var xys plotter.XYs
	end := min(4, max(1, math.Log10(float64(h.TotalCount())/100)))
	for x := 0.0; x <= end; x += 0.02 {
		percent := 100 * (1 - math.Pow(10, -x))
		xys = append(xys, plotter.XY{X: x, Y: float64(max(h.ValueAtQuantile(percent), delayLowest)) / 1e6})
	}
	return xys
}

// decades marks 1, 2 and 5 of each decade.
func decades(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for d := math.Pow(10, math.Floor(math.Log10(low))); d <= high; d *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := d * m; v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
			}
		}
	}
	return ticks
}
