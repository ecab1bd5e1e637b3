package usage

import (
	"testing"
	"time"
)

// A clock that was a year ahead must not lock anyone out for a year when it is right again.
func TestAClockThatIsPutBackBeginsAnotherWindow(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for _, w := range []Window{{calendar: day}, {calendar: month}} {
		var p period
		p.turn(now.AddDate(1, 0, 0), w)
		p.used = 100
		p.turn(now, w)
		if p.used != 0 || p.begin != w.Begin(now).Unix() || p.end != w.End(now).Unix() {
			t.Errorf("the %s is %+v", w, p)
		}
		p.used = 5
		p.turn(now.Add(time.Hour), w)
		if p.used != 5 {
			t.Errorf("%d are used within the same %s, want 5", p.used, w)
		}
	}
}
