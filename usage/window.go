package usage

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Window is the time within which a limit counts. The zero Window is not valid.
type Window struct {
	sliding  time.Duration // 0 for a window of the calendar
	calendar calendar
}

// calendar is a window that begins at 00:00 UTC.
type calendar string

const (
	day   calendar = "day"
	month calendar = "month"
)

const (
	minSliding = time.Second
	maxSliding = 24 * time.Hour
)

// ParseWindow reads a duration from 1s to 24h, which slides, or "day" or "month", which begin at 00:00 UTC.
func ParseWindow(s string) (Window, error) {
	switch calendar(s) {
	case day, month:
		return Window{calendar: calendar(s)}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < minSliding || d > maxSliding {
		return Window{}, errors.New("the window must be a duration from 1s to 24h, day or month")
	}
	return Window{sliding: d}, nil
}

// String returns the window as ParseWindow reads it, in its shortest form: 1m, 24h, day.
func (w Window) String() string {
	if w.calendar != "" {
		return string(w.calendar)
	}
	s := w.sliding.String() // such as 24h0m0s
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Phrase returns the window as a part of a sentence: "in 1m", "today (UTC)" or "this month (UTC)".
func (w Window) Phrase() string {
	switch w.calendar {
	case day:
		return "today (UTC)"
	case month:
		return "this month (UTC)"
	}
	return "in " + w.String()
}

// Sliding returns the length of a window that slides, or 0 for one of the calendar.
func (w Window) Sliding() time.Duration { return w.sliding }

// Begin returns when the window of the calendar that contains now began. It must not be called for a window
// that slides.
func (w Window) Begin(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	if w.calendar == month {
		d = 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// End returns when the window of the calendar that contains now ends. It must not be called for a window that
// slides.
func (w Window) End(now time.Time) time.Time {
	if w.calendar == month {
		return w.Begin(now).AddDate(0, 1, 0)
	}
	return w.Begin(now).AddDate(0, 0, 1)
}

// Long reports whether the window is a day or longer. A client should not wait for such a window to end.
func (w Window) Long() bool { return w.calendar != "" || w.sliding >= maxSliding }

// Rate is a maximum within a window.
type Rate struct {
	Max    int64
	Window Window
}

// ParseRate reads a rate in the form <max>/<window>, such as 120/1m. The maximum must be larger than 0.
func ParseRate(s string) (Rate, error) {
	number, window, ok := strings.Cut(s, "/")
	if !ok {
		return Rate{}, errors.New("must be a number and a window, such as 120/1m")
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 {
		return Rate{}, errors.New("the number must be a whole number larger than 0")
	}
	w, err := ParseWindow(window)
	if err != nil {
		return Rate{}, err
	}
	return Rate{n, w}, nil
}

// ParseRates reads rates, which must have different windows. It returns nil for an empty list.
func ParseRates(written []string) ([]Rate, error) {
	var rates []Rate
	for _, one := range written {
		rate, err := ParseRate(one)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(rates, func(other Rate) bool { return other.Window == rate.Window }) {
			return nil, errors.New("two limits have the window " + rate.Window.String() + ": keep the smaller one")
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

// String returns the rate as ParseRate reads it.
func (r Rate) String() string { return strconv.FormatInt(r.Max, 10) + "/" + r.Window.String() }
