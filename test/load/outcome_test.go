package main

import (
	"strings"
	"testing"
)

func TestTheVerdictNamesEveryFault(t *testing.T) {
	idle := sample{goroutines: 14, descriptors: 12, memory: 64 << 20, live: 5 << 20}
	work := sample{goroutines: 100, descriptors: 80, memory: 70 << 20}
	for name, test := range map[string]struct {
		change func(*outcome)
		want   string // a part of the error; "" means no error
	}{
		"all is well":               {func(*outcome) {}, ""},
		"a request is lost":         {func(o *outcome) { o.lost, o.said = 1, []string{"status 502"} }, "status 502"},
		"a request is served twice": {func(o *outcome) { o.served++ }, "upstream has served 1001"},
		"more requests are sent again than reloads can explain": {func(o *outcome) { o.again = 20*connections + 1 }, "sent again"},
		"no reload":                             {func(o *outcome) { o.reloads, o.underFault, o.again = 0, 0, 0 }, "nothing is shown"},
		"no reload during a fault":              {func(o *outcome) { o.underFault = 0 }, "nothing is shown"},
		"the keystore is never asked":           {func(o *outcome) { o.calls = 0 }, "nothing is shown"},
		"a goroutine for every fifth reload":    {func(o *outcome) { o.after.goroutines += 4 }, "goroutines leak: 14 before, 18 after"},
		"a descriptor for every fifth reload":   {func(o *outcome) { o.after.descriptors += 4 }, "file descriptors leak"},
		"more live memory":                      {func(o *outcome) { o.after.live += 2 << 20 }, "KB of live memory leak"},
		"more memory":                           {func(o *outcome) { o.after.memory += 32 << 20 }, "MB of memory leak"},
		"more goroutines from minute to minute": {func(o *outcome) { grow(o, sample{goroutines: 10}) }, "goroutines at work leak"},
		"more descriptors":                      {func(o *outcome) { grow(o, sample{descriptors: 10}) }, "file descriptors at work leak"},
		"more memory at work":                   {func(o *outcome) { grow(o, sample{memory: 20 << 20}) }, "MB of memory at work leak"},
	} {
		t.Run(name, func(t *testing.T) {
			o := outcome{answered: 1000, served: 1000, again: 3, calls: 50, reloads: 20, underFault: 15, before: idle, after: idle}
			for range 20 {
				o.atWork = append(o.atWork, work)
			}
			test.change(&o)
			err := o.verdict()
			if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func grow(o *outcome, by sample) {
	for i := range o.atWork {
		o.atWork[i].goroutines += i * by.goroutines
		o.atWork[i].descriptors += i * by.descriptors
		o.atWork[i].memory += int64(i) * by.memory
	}
}
