package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// draw writes the curve's picture to dir, unless dir is empty: CPU time per request
// next to the quantity that must not fall.
func (c *growthCurve) draw(dir string, l lineup) error {
	if dir == "" || len(c.points) < 2 {
		return nil
	}
	var panels []*plot.Plot
	for _, q := range []quantity{cpuTaken, c.yield} {
		p, err := c.panel(q, l)
		if err != nil {
			return err
		}
		panels = append(panels, p)
	}
	canvas := vgsvg.New(26*vg.Centimeter, 11*vg.Centimeter)
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: vg.Centimeter, PadRight: vg.Centimeter}
	for i, place := range plot.Align([][]*plot.Plot{panels}, tiles, draw.New(canvas))[0] {
		panels[i].Draw(place)
	}
	f, err := os.Create(filepath.Join(dir, "growth-"+c.name+".svg"))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = canvas.WriteTo(f)
	return err
}

// dashes distinguish the methods.
var dashes = [][]vg.Length{nil, {vg.Points(5), vg.Points(3)}}

// panel draws one quantity: a line for each server and method.
func (c *growthCurve) panel(q quantity, l lineup) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = q.name
	p.X.Label.Text = strings.ToLower(c.title)
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	var ticks []plot.Tick
	for _, at := range c.points {
		ticks = append(ticks, plot.Tick{Value: float64(at.at), Label: c.label(at.at)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Tick.Marker = plot.TickerFunc(decades)
	p.Add(plotter.NewGrid())
	for _, server := range l.names() {
		for i, method := range methods {
			xys := c.xys(server, i, q)
			if len(xys) == 0 {
				continue
			}
			line, dots, err := plotter.NewLinePoints(xys)
			if err != nil {
				return nil, err
			}
			line.Color, line.Width, line.Dashes = l.color(server), vg.Points(2), dashes[i]
			dots.Color, dots.Shape = l.color(server), draw.CircleGlyph{}
			p.Add(line, dots)
			p.Legend.Add(server+" "+method, line)
		}
	}
	p.Legend.Top = true
	// Whole decades, so that a nearly level curve looks level, and room for
	// the legend.
	p.Y.Min = math.Pow(10, math.Floor(math.Log10(p.Y.Min)))
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
	p.Y.Max *= math.Pow(p.Y.Max/p.Y.Min, 0.2)
	return p, nil
}

// xys are a server's points, without zeros, which have no logarithm.
func (c *growthCurve) xys(server string, method int, q quantity) (xys plotter.XYs) {
	for i, v := range c.medians(server, method, q) {
		if v > 0 {
			xys = append(xys, plotter.XY{X: float64(c.points[i].at), Y: v})
		}
	}
	return xys
}
