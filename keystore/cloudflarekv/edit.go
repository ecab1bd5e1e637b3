package cloudflarekv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	cloudflare "github.com/cloudflare/cloudflare-go/v7"
	"github.com/cloudflare/cloudflare-go/v7/kv"
	"github.com/cloudflare/cloudflare-go/v7/option"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// minLife is the shortest time that KV lets an entry live, in seconds
// (https://developers.cloudflare.com/kv/api/write-key-value-pairs/).
const minLife = 60

// Edit is keystore.Editor's: one bulk read and, where there is something to do, one bulk write and
// one bulk delete, in this order. An entry keeps its metadata and its end.
//
// KV knows no transactions, and may go on showing what was there before a write for a minute or
// more (https://developers.cloudflare.com/kv/concepts/how-kv-works/): of two edits of one name within
// that time, one may be lost.
func (s *Store) Edit(ctx context.Context, ns keystore.Namespace, names []string, edit func(name string, value []byte) ([]byte, error)) error {
	entries, err := s.entries(ctx, ns, names)
	if err != nil {
		return err
	}
	values := make(map[string][]byte, len(entries))
	for name, e := range entries {
		values[name] = []byte(e.value)
	}
	changes, err := keystore.Changes(names, values, edit)
	if err != nil {
		return err
	}
	var pairs []kv.NamespaceBulkUpdateParamsBody
	var removed []string
	for _, change := range changes {
		if change.Value == nil {
			removed = append(removed, change.Name)
		} else {
			pairs = append(pairs, entries[change.Name].pair(change, time.Now()))
		}
	}
	if err := s.put(ctx, ns, pairs); err != nil {
		return err
	}
	return s.remove(ctx, ns, removed)
}

// entry is an entry as it is in KV.
type entry struct {
	value      string
	metadata   *json.RawMessage // nil: none
	expiration float64          // Unix seconds; 0: never
}

// pair is what to send so that nothing but the value changes: what is not sent again is lost. KV
// refuses an end that is less than a minute away by its own clock, so that near it the time that is
// left is sent, which may be a minute more than there was.
func (e entry) pair(change keystore.Change, now time.Time) kv.NamespaceBulkUpdateParamsBody {
	pair := kv.NamespaceBulkUpdateParamsBody{Key: cloudflare.F(change.Name), Value: cloudflare.F(string(change.Value))}
	if e.metadata != nil {
		pair.Metadata = cloudflare.F[any](*e.metadata)
	}
	left := e.expiration - float64(now.Unix())
	switch {
	case e.expiration == 0:
	case left < 2*minLife:
		pair.ExpirationTTL = cloudflare.F(max(left, minLife))
	default:
		pair.Expiration = cloudflare.F(e.expiration)
	}
	return pair
}

// entries returns those of names that are there, with all that they have.
func (s *Store) entries(ctx context.Context, ns keystore.Namespace, names []string) (map[string]entry, error) {
	body, err := s.call(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkGet(ctx, s.namespace(ns), kv.NamespaceBulkGetParams{
			AccountID:    cloudflare.F(s.account),
			Keys:         cloudflare.F(names),
			Type:         cloudflare.F(kv.NamespaceBulkGetParamsTypeText),
			WithMetadata: cloudflare.F(true),
		}, opts...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return decodeEntries(body)
}

// put writes pairs, if there are any.
func (s *Store) put(ctx context.Context, ns keystore.Namespace, pairs []kv.NamespaceBulkUpdateParamsBody) error {
	if len(pairs) == 0 {
		return nil
	}
	return s.change(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkUpdate(ctx, s.namespace(ns), kv.NamespaceBulkUpdateParams{
			AccountID: cloudflare.F(s.account), Body: pairs,
		}, opts...)
		return err
	})
}

// remove deletes names, if there are any.
func (s *Store) remove(ctx context.Context, ns keystore.Namespace, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return s.change(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkDelete(ctx, s.namespace(ns), kv.NamespaceBulkDeleteParams{
			AccountID: cloudflare.F(s.account), Body: names,
		}, opts...)
		return err
	})
}

// change makes a call that writes, whose second attempt does no harm: it writes the same again.
func (s *Store) change(ctx context.Context, send send) error {
	attempts := 0
	body, err := s.call(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		attempts++
		return send(ctx, opts...)
	})
	switch {
	case err != nil && attempts > 1 && !errors.Is(err, keystore.ErrUnavailable) && !errors.Is(err, keystore.ErrTimeout):
		// The refusal is the second attempt's. The first one may have written.
		return fmt.Errorf("%w: the connection or the server failed, and then: %w", keystore.ErrUnavailable, err)
	case errors.Is(err, keystore.ErrUnauthorized): // which a read with the same token just was not
		return fmt.Errorf("%w: to write, the token needs the permission Workers KV Storage Write", err)
	case err != nil:
		return err
	}
	return decodeResult(body)
}
