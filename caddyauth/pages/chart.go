package pages

import (
	"fmt"
	"math"
	"strings"
)

// Chart is a bar for each step of a period. The parts of a bar are the series. A chart has no text inside, so that
// it can have any width; the labels are beside it.
type Chart struct {
	// Title says what the chart shows, and Summary what is to be seen.
	Title, Summary string

	// Width and Height are the size in the chart's own units.
	Width, Height int

	Series []Series

	// Columns are the steps, each with a text for the pointer.
	Columns []Column

	// Top and Half are the values at the upper lines. The lowest is 0.
	Top, Half string

	// First, Middle and Last name the steps below.
	First, Middle, Last string
}

// Series is one thing in a chart. Path has its part of all bars.
type Series struct {
	Name, Class, Path string
}

// Column is one step of a chart.
type Column struct {
	X     int
	Title string
}

const (
	columnWidth = 10 // of which the bar takes 8
	chartHeight = 200
)

func newChart(series []Series, steps []Step, measure Measure, period Period, by string) *Chart {
	most, best := int64(0), 0
	for i, step := range steps {
		if step.Total > most {
			most, best = step.Total, i
		}
	}
	top := roundUp(most)
	c := &Chart{
		Title:   fmt.Sprintf("%s a %s by %s", capital(string(measure)), period.Unit(), by),
		Summary: fmt.Sprintf("The most is %s %s, on %s.", count(most), measure, period.label(best)),
		Width:   columnWidth * len(steps), Height: chartHeight,
		Series: series,
		Top:    short(top), Half: short(top / 2),
		First: period.short(0), Middle: period.short(len(steps) / 2), Last: period.short(len(steps) - 1),
	}
	if period.Months {
		c.Summary = strings.Replace(c.Summary, ", on ", ", in ", 1)
	}
	paths := make([]strings.Builder, len(series))
	for i, step := range steps {
		c.Columns = append(c.Columns, Column{i * columnWidth, fmt.Sprintf("%s: %s %s", step.Label, count(step.Total), measure)})
		drawBar(paths, i*columnWidth+1, step.Values, top)
	}
	for i := range series {
		series[i].Path = paths[i].String()
	}
	return c
}

// drawBar appends one step's part to the path of each series, from the bottom up.
func drawBar(paths []strings.Builder, x int, values []int64, top int64) {
	y := func(value int64) float64 { return chartHeight - chartHeight*float64(value)/float64(top) }
	var below int64
	for i, value := range values {
		if value == 0 {
			continue
		}
		fmt.Fprintf(&paths[i], "M%d %.4gV%.4gh%dV%.4gz", x, y(below), y(below+value), columnWidth-2, y(below))
		below += value
	}
}

// roundUp returns the next number that is 2, 4, 6 or 10 with zeros, so that its half is whole.
func roundUp(n int64) int64 {
	for unit := int64(1); unit <= math.MaxInt64/10; unit *= 10 {
		for _, factor := range []int64{2, 4, 6, 10} {
			if factor*unit >= n {
				return factor * unit
			}
		}
	}
	return math.MaxInt64
}
