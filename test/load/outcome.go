package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// outcome is the result of a soak.
type outcome struct {
	answered, again, lost int64    // clients' requests
	said                  []string // what became of the lost requests
	served                int64    // requests that the upstream has served
	calls                 int      // calls of the keystore
	reloads, underFault   int      // all reloads, and those while the keystore failed

	before, after sample // while no client was active
	atWork        []sample
}

// sample is the resources that the server uses at one time.
type sample struct {
	goroutines, descriptors int
	memory                  int64 // the memory that it has from the system
	live                    int64 // the memory after a garbage collection, if the server was idle
}

func (s sample) String() string {
	return fmt.Sprintf("%d goroutines, %d file descriptors, %.1f MB", s.goroutines, s.descriptors, float64(s.memory)/(1<<20))
}

func (o *outcome) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "soak: %d requests answered, %d lost, %d sent again on a new connection; %d reloads, %d of them while the keystore failed; %d calls of the keystore\n",
		o.answered, o.lost, o.again, o.reloads, o.underFault, o.calls)
	fmt.Fprintf(&text, "idle before: %v, %d KB live\nidle after:  %v, %d KB live", o.before, o.before.live>>10, o.after, o.after.live>>10)
	for _, taken := range o.atWork {
		fmt.Fprintf(&text, "\nat work:     %v", taken)
	}
	return text.String()
}

// verdict returns an error if a request was lost, if anything has leaked, or if the server was not
// disturbed as planned.
func (o *outcome) verdict() error {
	var errs []error
	if o.lost > 0 {
		errs = append(errs, fmt.Errorf("requests were lost: %q", o.said))
	}
	if o.served != o.answered {
		errs = append(errs, fmt.Errorf("upstream has served %d requests, but clients have %d answers", o.served, o.answered))
	}
	if o.again > int64(o.reloads*connections) {
		errs = append(errs, fmt.Errorf("%d requests were sent again: each of %d connections may meet each of %d reloads once", o.again, connections, o.reloads))
	}
	if o.reloads == 0 || o.underFault == 0 || o.calls == 0 {
		errs = append(errs, errors.New("no reload, none while the keystore failed, or no call of the keystore: nothing is shown"))
	}
	return errors.Join(append(errs, o.leaks()...)...)
}

func (o *outcome) leaks() []error {
	errs := []error{
		leak("goroutines", o.before.goroutines, o.after.goroutines, 3),
		leak("file descriptors", o.before.descriptors, o.after.descriptors, 3),
		leak("KB of live memory", int(o.before.live>>10), int(o.after.live>>10), 1<<10),
		leak("MB of memory", int(o.before.memory>>20), int(o.after.memory>>20), int(o.before.memory>>20)/4+8),
	}
	if third := len(o.atWork) / 3; third > 1 {
		first, last := middle(o.atWork[third:2*third]), middle(o.atWork[2*third:])
		errs = append(errs, leak("goroutines at work", first.goroutines, last.goroutines, first.goroutines/4+20),
			leak("file descriptors at work", first.descriptors, last.descriptors, first.descriptors/4+10),
			leak("MB of memory at work", int(first.memory>>20), int(last.memory>>20), int(first.memory>>20)/4+8))
	}
	return errs
}

func leak(what string, before, after, slack int) error {
	if after > before+slack {
		return fmt.Errorf("%s leak: %d before, %d after", what, before, after)
	}
	return nil
}

// middle returns the median of each figure.
func middle(samples []sample) sample {
	of := func(figure func(sample) int64) int64 {
		var all []int64
		for _, taken := range samples {
			all = append(all, figure(taken))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return sample{
		goroutines:  int(of(func(s sample) int64 { return int64(s.goroutines) })),
		descriptors: int(of(func(s sample) int64 { return int64(s.descriptors) })),
		memory:      of(func(s sample) int64 { return s.memory }),
	}
}
