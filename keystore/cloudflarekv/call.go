package cloudflarekv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"

	cloudflare "github.com/cloudflare/cloudflare-go/v7"
	"github.com/cloudflare/cloudflare-go/v7/option"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const (
	// maxReply bounds the body of a reply, in bytes.
	maxReply = 32 << 20

	// pause is between two attempts.
	pause = 250 * time.Millisecond

	// maxRetryAfter is the longest time to be left alone that is believed: the free plan's
	// allowance is a day's (https://developers.cloudflare.com/kv/platform/limits/).
	maxRetryAfter = 24 * time.Hour
)

// Cloudflare's codes that tell what a status does not. It has no public list of them: these are
// from its replies.
const (
	codeInvalidHeaders    = 6003 // a token that does not look like one, with 400
	codeNoRoute           = 7000
	codeCouldNotRoute     = 7003
	codeNamespaceNotFound = 10013
)

// send is a call of the SDK.
type send func(ctx context.Context, opts ...option.RequestOption) error

// bound keeps the SDK from reading replies without end.
func bound(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxReply)
	}
	return res, err
}

// call returns the body of the reply to send. It makes a second attempt if the first one's
// connection failed or its reply was a server error. (Of a listing net/http itself repeats an
// attempt whose connection had been kept and broke.)
func (s *Store) call(ctx context.Context, send send) ([]byte, error) {
	body, again, err := s.attempt(ctx, send)
	if !again || !s.budget.Allow() {
		return body, err
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return nil, failed(ctx, ctx.Err())
	}
	body, _, err = s.attempt(ctx, send)
	return body, err
}

// attempt sends once. again says whether a second attempt may help.
//
// The SDK's errors hold the URL, and so ids, and the body, and so names and values: none of them is
// passed on or wrapped.
func (s *Store) attempt(ctx context.Context, send send) (body []byte, again bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var res *http.Response
	err = send(bounded, option.WithResponseInto(&res), option.WithResponseBodyInto(&body))
	switch {
	case res != nil && res.StatusCode != http.StatusOK:
		return nil, res.StatusCode >= 500 && bounded.Err() == nil, refused(res, err)
	case err != nil:
		err = failed(ctx, err)
		return nil, errors.Is(err, errConnection), err
	}
	return body, false, nil
}

// refused is the error for a reply with another status than 200. err is the SDK's.
func refused(res *http.Response, err error) error {
	reason := fmt.Sprintf("HTTP status %d", res.StatusCode)
	var codes []int64
	if api, ok := errors.AsType[*cloudflare.Error](err); ok {
		for _, e := range api.Errors {
			codes = append(codes, e.Code)
		}
	}
	if len(codes) > 0 {
		reason += fmt.Sprintf(", code %d", codes[0])
	}
	has := func(code int64) bool { return slices.Contains(codes, code) }
	switch status := res.StatusCode; {
	case status == http.StatusTooManyRequests:
		return &keystore.RateLimitError{RetryAfter: retryAfter(res.Header.Get("Retry-After"))}
	case status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusBadRequest && has(codeInvalidHeaders):
		return fmt.Errorf("%w: %s", keystore.ErrUnauthorized, reason)
	case status == http.StatusNotFound,
		status == http.StatusBadRequest && (has(codeNoRoute) || has(codeCouldNotRoute) || has(codeNamespaceNotFound)):
		return fmt.Errorf("%w: %s", keystore.ErrNamespaceNotFound, reason)
	}
	return unavailable(reason)
}

// retryAfter reads a Retry-After header: seconds, or an HTTP date.
func retryAfter(header string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// errConnection marks the failures after which a second attempt may help.
var errConnection = fmt.Errorf("%w: the connection failed", keystore.ErrUnavailable)

// failed is the error for a call without a whole reply. ctx is the caller's, err the SDK's.
func failed(ctx context.Context, err error) error {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case ok && timeout.Timeout():
		return keystore.ErrTimeout
	case isType[*http.MaxBytesError](err):
		return unavailable(fmt.Sprintf("the reply is larger than %d MB", maxReply>>20))
	case isType[*tls.CertificateVerificationError](err):
		return fmt.Errorf("%w: the certificate cannot be trusted", errConnection)
	case isType[*net.DNSError](err):
		return fmt.Errorf("%w: the host's name cannot be resolved", errConnection)
	case isType[syscall.Errno](err):
		errno, _ := errors.AsType[syscall.Errno](err)
		return fmt.Errorf("%w: %s", errConnection, errno.Error())
	}
	return errConnection
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// unavailable is keystore.ErrUnavailable with a reason.
func unavailable(reason string) error {
	return fmt.Errorf("%w: %s", keystore.ErrUnavailable, reason)
}
