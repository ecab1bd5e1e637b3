package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// limitHelp describes the flag --limit.
const limitHelp = "a limit of the user's own in place of the server's: requests=120/1m, tokens=2000000/day or parallel=8; 'none' in place of the number lifts the server's limit, and 'default' takes it back"

// The words that stand for no limit, and for the server's limit.
const (
	noLimit       = "none"
	defaultLimits = "default"
)

// setLimits changes a user's own limits. Kinds that no flag names stay as they are.
func setLimits(to *keystore.Record, flags []string) error {
	if len(flags) == 0 {
		return nil
	}
	limits := new(keystore.Limits)
	if own := to.Info().Limits; own != nil {
		*limits = *own
	}
	seen := make(map[string]bool)
	for _, flag := range flags {
		kind, value, ok := strings.Cut(flag, "=")
		if !ok {
			return fmt.Errorf("--limit %q: must be requests=120/1m, tokens=2000000/day or parallel=8", flag)
		}
		if err := setLimit(limits, kind, value, seen[kind]); err != nil {
			return fmt.Errorf("--limit %q: %w", flag, err)
		}
		seen[kind] = true
	}
	to.SetLimits(limits)
	return nil
}

// setLimit changes one kind of limits. again says that an earlier flag has changed it: rates then add up.
func setLimit(limits *keystore.Limits, kind, value string, again bool) error {
	switch usage.Kind(kind) {
	case usage.Requests:
		return setRate(&limits.Requests, value, again)
	case usage.Tokens:
		return setRate(&limits.Tokens, value, again)
	case usage.Parallel:
		return setParallel(&limits.Parallel, value)
	}
	return errors.New("must begin with requests=, tokens= or parallel=")
}

func setRate(rates *[]string, value string, again bool) error {
	switch value {
	case noLimit:
		*rates = []string{}
		return nil
	case defaultLimits:
		*rates = nil
		return nil
	}
	rate, err := usage.ParseRate(value)
	if err != nil {
		return err
	}
	if !again {
		*rates = nil
	}
	*rates = append(*rates, rate.String())
	return nil
}

func setParallel(parallel **int64, value string) error {
	if value == defaultLimits {
		*parallel = nil
		return nil
	}
	var n int64
	if value != noLimit {
		var err error
		if n, err = strconv.ParseInt(value, 10, 64); err != nil || n < 0 {
			return errors.New("must be a whole number, or none")
		}
	}
	*parallel = &n
	return nil
}

// describeLimits returns a user's own limits in the form of the flags, or "" if there are none.
func describeLimits(l *keystore.Limits) string {
	if l == nil {
		return ""
	}
	var all []string
	rates := func(kind usage.Kind, rates []string) {
		for _, rate := range rates {
			all = append(all, string(kind)+"="+rate)
		}
		if rates != nil && len(rates) == 0 {
			all = append(all, string(kind)+"="+noLimit)
		}
	}
	rates(usage.Requests, l.Requests)
	rates(usage.Tokens, l.Tokens)
	if l.Parallel != nil {
		n := strconv.FormatInt(*l.Parallel, 10)
		if *l.Parallel == 0 {
			n = noLimit
		}
		all = append(all, string(usage.Parallel)+"="+n)
	}
	return strings.Join(all, ", ")
}
