package cache

import (
	"slices"
	"sync"
)

// listeners notifies those who listen. Each has a channel with room for one notification.
type listeners struct {
	mu  sync.Mutex
	all []chan struct{}
}

func (l *listeners) add(c chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, c)
}

func (l *listeners) remove(c chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other chan struct{}) bool { return other == c })
}

func (l *listeners) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		select {
		case c <- struct{}{}:
		default: // the listener has not received the last notification yet
		}
	}
}
