package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// errKind means that the addresses do not fit together.
var errKind = errors.New("is neither a Cluster nor a Sentinel, although there are several addresses")

// errMasters means that it is not known which of a Sentinel's masters to use.
var errMasters = errors.New("is a Sentinel that watches no master, or several")

// refusals are the codes of Redis's errors that have an explanation.
var refusals = map[string]string{
	"WRONGPASS":   "refuses the username or the password",
	"NOAUTH":      "wants a password",
	"NOPERM":      "does not allow the user what is needed",
	"OOM":         "is out of memory",
	"READONLY":    "is a replica, which takes no changes",
	"LOADING":     "is loading its data",
	"MASTERDOWN":  "has lost its master",
	"NOREPLICAS":  "has too few replicas",
	"MISCONF":     "cannot save its data",
	"BUSY":        "is busy with a script",
	"CLUSTERDOWN": "is a Cluster that is down",
}

// away returns an error that wraps usage.ErrAway.
func away(err error) error { return fmt.Errorf("%w: it %s", usage.ErrAway, reason(err)) }

// reason says what is wrong, as the rest of a sentence about the store. It repeats nothing that the store
// said: what answers may not be Redis, and may send back the password that it was sent.
func reason(err error) string {
	var answer goredis.Error
	var unknownHost *net.DNSError
	var certificate *tls.CertificateVerificationError
	var number syscall.Errno
	switch {
	case errors.Is(err, errNonsense), errors.Is(err, errKind), errors.Is(err, errMasters):
		return innermost(err).Error()
	case errors.As(err, &answer):
		code, _, _ := strings.Cut(answer.Error(), " ")
		if known, ok := refusals[code]; ok {
			return known
		}
		return "answers with an error"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "does not answer in time"
	case errors.As(err, &certificate):
		return "has a certificate that is not trusted"
	case errors.As(err, &unknownHost):
		return "has a host name that is not known"
	case errors.As(err, &number):
		return "cannot be reached: " + number.Error()
	}
	return "cannot be reached"
}

// innermost returns the error that err wraps, directly or not.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
