package usage

import "time"

// period counts within a window of the calendar.
type period struct {
	used       int64
	begin, end int64 // in seconds since 1970
}

// turn begins to count anew if now is in another window. It is also right if the clock was wrong and is put
// back.
func (p *period) turn(now time.Time, w Window) {
	if seconds := now.Unix(); seconds < p.begin || seconds >= p.end {
		*p = period{begin: w.Begin(now).Unix(), end: w.End(now).Unix()}
	}
}
