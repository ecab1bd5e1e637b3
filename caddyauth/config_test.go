package caddyauth

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"
)

// FuzzValues checks that valid values are never negative, and that a duration without a unit is valid only as
// a JSON number.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"30s", "1.5h", "2d", "0", "60", "-5s", "9223372036854775807", "20MB", "1 KiB", "0x10", "1e3", "{env.X}", " 5s", ".5d", "99999999999d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, durationErr := parseDuration(text)
		size, sizeErr := parseSize(text)
		count, countErr := parseCount(text)
		if d < 0 || size < 0 || count < 0 || sizeErr == nil && size == 0 || countErr == nil && count == 0 {
			t.Fatalf("%q is %s, %d bytes, the number %d", text, d, size, count)
		}
		number, notNumber := strconv.ParseInt(text, 10, 64)
		if notNumber == nil && number != 0 && durationErr == nil {
			t.Fatalf("%q is %s, without a unit", text, d)
		}
		written, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var value Value
		var duration Duration
		if json.Unmarshal(written, &value) != nil || json.Unmarshal(written, &duration) != nil || string(value) != string(duration) {
			t.Fatalf("%s is %q, %q", written, value, duration)
		}
		var fromNumber Duration
		if notNumber != nil || json.Unmarshal([]byte(text), &fromNumber) != nil {
			return
		}
		if d, err := parseDuration(string(fromNumber)); number >= 0 && d != time.Duration(number) || (err == nil) != (number >= 0) {
			t.Fatalf("the number %s is %s, error %v", text, d, err)
		}
	})
}
