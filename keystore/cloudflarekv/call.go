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

	"github.com/cloudflare/cloudflare-go/v7/option"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const (
	// maxReply is the largest body of a reply, in bytes.
	maxReply = 32 << 20

	// pause is the time between two attempts.
	pause = 250 * time.Millisecond

	// maxRetryAfter is the longest Retry-After that is believed. The free plan's limit is per day
	// (https://developers.cloudflare.com/kv/platform/limits/).
	maxRetryAfter = 24 * time.Hour
)

// These codes of Cloudflare say what the status does not. There is no public list of them. They
// were taken from its replies.
const (
	codeInvalidHeaders    = 6003 // a token that does not look like one, with 400
	codeNoRoute           = 7000
	codeCouldNotRoute     = 7003
	codeNamespaceNotFound = 10013
)

// send makes one call with the SDK.
type send func(ctx context.Context, opts ...option.RequestOption) error

// bound limits how much of a reply the SDK reads.
func bound(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxReply)
	}
	return res, err
}

// call returns the body of the reply to send. If the connection fails, or the reply is a server
// error, it makes a second attempt. (net/http itself also repeats a listing if a kept connection
// broke.)
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
// It never returns or wraps an error of the SDK, because such an error contains the URL and the
// body, and so ids, names and values.
func (s *Store) attempt(ctx context.Context, send send) (body []byte, again bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var res *http.Response
	err = send(bounded, option.WithResponseInto(&res), option.WithResponseBodyInto(&body))
	switch {
	case res != nil && res.StatusCode != http.StatusOK:
		return nil, res.StatusCode >= 500 && bounded.Err() == nil, refused(res)
	case err != nil:
		err = failed(ctx, err)
		return nil, errors.Is(err, errConnection), err
	}
	return body, false, nil
}

// refused returns the error for a reply whose status is not 200.
func refused(res *http.Response) error {
	reason := fmt.Sprintf("HTTP status %d", res.StatusCode)
	codes := decodeCodes(res.Body)
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

// retryAfter reads a Retry-After header, which has seconds or an HTTP date.
func retryAfter(header string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// errConnection marks failures after which a second attempt may help.
var errConnection = fmt.Errorf("%w: the connection failed", keystore.ErrUnavailable)

// failed returns the error for a call that got no complete reply. ctx is the caller's context, err
// the SDK's error.
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

// unavailable returns a keystore.ErrUnavailable with a reason.
func unavailable(reason string) error {
	return fmt.Errorf("%w: %s", keystore.ErrUnavailable, reason)
}
