package pages

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// functions are what templates can call.
var functions = template.FuncMap{
	"asset":   func(name string) string { return strings.TrimPrefix(Folder, "/") + assets[name].name },
	"count":   count,
	"short":   short,
	"brief":   brief,
	"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"minute":  func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"inc":     func(i int) int { return i + 1 },
	"capital": capital,
	"plural":  plural,
}

// count writes a number with commas: 1,234,567.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// short writes a number with three digits at most, and a letter for its size: 1.23M.
func short(n int64) string {
	for _, unit := range []struct {
		size   float64
		letter string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if v := float64(n) / unit.size; math.Abs(v) >= 0.9995 {
			return strconv.FormatFloat(v, 'g', 3, 64) + unit.letter
		}
	}
	return strconv.FormatInt(n, 10)
}

// brief writes a number in full if it has five digits at most.
func brief(n int64) string {
	if n < 100_000 {
		return count(n)
	}
	return short(n)
}

// capital writes a word in lower case with a capital.
func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// plural writes a number with a word, which gets an s unless the number is 1.
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return count(n) + " " + word + "s"
}

// Until says how long it is from now to t: "in 3 days". Parts of the last unit count as a whole one, so that
// nobody comes back too early.
func Until(t, now time.Time) string {
	left := t.Sub(now)
	for _, unit := range []struct {
		length time.Duration
		word   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if left > 2*unit.length || unit.length == time.Second || left == unit.length {
			n := int64((left + unit.length - 1) / unit.length)
			return fmt.Sprintf("in %s", plural(max(n, 0), unit.word))
		}
	}
	return ""
}
