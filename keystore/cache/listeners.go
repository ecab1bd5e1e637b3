package cache

import (
	"slices"
	"sync"
)

// listeners are those who are told of something, each by a channel of their own that holds one word.
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
		default: // who has not received the last one yet learns nothing from another
		}
	}
}
