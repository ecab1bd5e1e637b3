package usage

import (
	"math"
	"time"
)

const (
	// tick is the unit of time of windows that slide. With it, a time within a window fits into 32 bits. An
	// event counts up to three ticks longer than the window, never shorter.
	tick = 100 * time.Microsecond

	// bucketsPerWindow says how exact a window is: an event counts at most that part of the window too long.
	bucketsPerWindow = 30

	// maxEvent is the largest number that one event can add. No answer has as many tokens.
	maxEvent = math.MaxUint32
)

// sliding counts within a window that slides. Events that come shortly after one another share a bucket, which
// leaves the window with its last event. So the count is never too low, a burst leaves all at once, and memory
// is bounded: a window has at most bucketsPerWindow+2 buckets.
type sliding struct {
	used        int64    // the sum of the buckets
	first, last int64    // when the first and the last event of the newest bucket came, in ticks
	buckets     []bucket // oldest first
}

// bucket has 8 bytes, because a busy server keeps millions of them.
type bucket struct {
	last  uint32 // when its last event came: the lower bits of the ticks
	count uint32
}

// lastOf returns when the last event of a bucket came. All buckets are younger than 2^32 ticks, seen from the
// newest, so the lower bits are enough.
func (s *sliding) lastOf(b bucket) int64 { return s.last - int64(uint32(s.last)-b.last) }

// drop forgets the buckets that have left the window.
func (s *sliding) drop(now instant, length int64) {
	if s.last+length <= now.tick {
		s.used, s.buckets = 0, s.buckets[:0]
		return
	}
	gone := 0
	for gone < len(s.buckets) && s.lastOf(s.buckets[gone])+length <= now.tick {
		s.used -= int64(s.buckets[gone].count)
		gone++
	}
	if gone > 0 {
		s.buckets = append(s.buckets[:0], s.buckets[gone:]...)
	}
}

// add counts an event. What has left the window must have been dropped. n is at most maxEvent.
func (s *sliding) add(now instant, length, n int64) {
	s.used += n
	s.last = now.nextTick
	if newest := len(s.buckets) - 1; newest >= 0 && s.last-s.first < length/bucketsPerWindow {
		if b := &s.buckets[newest]; int64(b.count)+n <= maxEvent {
			b.last, b.count = uint32(s.last), b.count+uint32(n)
			return
		}
	}
	s.first = s.last
	s.buckets = append(s.buckets, bucket{uint32(s.last), uint32(n)})
}

// below returns when less than maximum will be left, in ticks. The window must not be empty now.
func (s *sliding) below(maximum, length int64) int64 {
	left := s.used
	for _, b := range s.buckets {
		left -= int64(b.count)
		if left < maximum {
			return s.lastOf(b) + length
		}
	}
	return s.last + length
}
