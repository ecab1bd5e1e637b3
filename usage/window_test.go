package usage_test

import (
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func TestParseWindow(t *testing.T) {
	for _, test := range []struct {
		written, want string
		sliding       time.Duration
		long          bool
	}{
		{"1s", "1s", time.Second, false},
		{"1m", "1m", time.Minute, false},
		{"60s", "1m", time.Minute, false},
		{"10m", "10m", 10 * time.Minute, false},
		{"90s", "1m30s", 90 * time.Second, false},
		{"1h", "1h", time.Hour, false},
		{"1h10m", "1h10m", 70 * time.Minute, false},
		{"1h0m30s", "1h0m30s", time.Hour + 30*time.Second, false},
		{"1.5s", "1.5s", 1500 * time.Millisecond, false},
		{"24h", "24h", 24 * time.Hour, true},
		{"1440m", "24h", 24 * time.Hour, true},
		{"day", "day", 0, true},
		{"month", "month", 0, true},
	} {
		w, err := usage.ParseWindow(test.written)
		if err != nil {
			t.Errorf("%s: %v", test.written, err)
			continue
		}
		if w.String() != test.want || w.Sliding() != test.sliding || w.Long() != test.long {
			t.Errorf("%s: is %s, slides %v, long %v; want %s, %v, %v",
				test.written, w, w.Sliding(), w.Long(), test.want, test.sliding, test.long)
		}
	}
}

func TestParseWindowRefuses(t *testing.T) {
	for _, written := range []string{
		"", "0", "0s", "1", "60", "-1m", "999ms", "24h0m1s", "25h", "1d", "2 m", "1m ", "Day", "days", "week", "year", "m", "NaNs",
		"99999999999999999999h",
	} {
		if w, err := usage.ParseWindow(written); err == nil || w != (usage.Window{}) {
			t.Errorf("%q: is %v with error %v, want an error", written, w, err)
		}
	}
}

func TestWindowsOfTheCalendarBeginAtMidnightUTC(t *testing.T) {
	for _, test := range []struct{ window, now, begin, end string }{
		{"day", "2026-01-31T12:00:00Z", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"day", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"day", "2026-01-31T23:59:59.999999999Z", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"day", "2028-02-28T12:00:00Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"day", "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"day", "2026-12-31T12:00:00Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"day", "2026-06-01T01:00:00+02:00", "2026-05-31T00:00:00Z", "2026-06-01T00:00:00Z"},
		{"day", "2026-06-01T23:00:00-05:00", "2026-06-02T00:00:00Z", "2026-06-03T00:00:00Z"},
		{"month", "2026-01-31T12:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"month", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"month", "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"month", "2100-02-28T23:59:59Z", "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"},
		{"month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"month", "2027-01-01T01:00:00+02:00", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
	} {
		w, err := usage.ParseWindow(test.window)
		if err != nil {
			t.Fatal(err)
		}
		now := date(t, test.now)
		if begin, end := w.Begin(now), w.End(now); begin != date(t, test.begin) || end != date(t, test.end) {
			t.Errorf("the %s of %s is from %s to %s, want from %s to %s", test.window, test.now,
				begin.Format(time.RFC3339), end.Format(time.RFC3339), test.begin, test.end)
		}
	}
}

func date(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseRate(t *testing.T) {
	for written, want := range map[string]string{
		"120/1m":                  "120/1m",
		"1/1s":                    "1/1s",
		"007/60s":                 "7/1m",
		"2000000/day":             "2000000/day",
		"9223372036854775807/24h": "9223372036854775807/24h",
		"5/month":                 "5/month",
	} {
		if r, err := usage.ParseRate(written); err != nil || r.String() != want {
			t.Errorf("%s: is %v with error %v, want %s", written, r, err, want)
		}
	}
}

func TestParseRateRefuses(t *testing.T) {
	for _, written := range []string{
		"", "/", "120", "120/", "/1m", "0/1m", "-1/1m", "1.5/1m", "1e3/1m", "1_000/1m", " 1/1m", "9223372036854775808/1m",
		"120/0s", "120/1m/1m", "120 1m", "120/minute", "many/1m",
	} {
		if r, err := usage.ParseRate(written); err == nil || r != (usage.Rate{}) {
			t.Errorf("%q: is %v with error %v, want an error", written, r, err)
		}
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, seed := range []string{"1s", "1h0m30s", "24h", "day", "month", "1.000000001s", "+1h", "1us", "week"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		w, err := usage.ParseWindow(written)
		if err != nil {
			return
		}
		if again, err := usage.ParseWindow(w.String()); err != nil || again != w {
			t.Errorf("%q is %v, which is read as %v with error %v", written, w, again, err)
		}
		now := time.Unix(1_800_000_000, 0)
		switch sliding := w.Sliding(); {
		case sliding == 0:
			if begin, end := w.Begin(now), w.End(now); begin.After(now) || !end.After(now) {
				t.Errorf("%q is from %v to %v, which does not include %v", written, begin, end, now)
			}
		case sliding < time.Second || sliding > 24*time.Hour:
			t.Errorf("%q slides by %v", written, sliding)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"120/1m", "1/month", "9223372036854775807/24h", "+5/1m", "0/1m", "1/1m/1m", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		r, err := usage.ParseRate(written)
		if err != nil {
			return
		}
		if r.Max <= 0 {
			t.Errorf("%q has the maximum %d", written, r.Max)
		}
		if again, err := usage.ParseRate(r.String()); err != nil || again != r {
			t.Errorf("%q is %v, which is read as %v with error %v", written, r, again, err)
		}
	})
}
