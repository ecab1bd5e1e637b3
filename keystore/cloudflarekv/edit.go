package cloudflarekv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/kv"
	"github.com/cloudflare/cloudflare-go/v7/option"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// minLife is the shortest lifetime of an entry that KV accepts, in seconds
// (https://developers.cloudflare.com/kv/api/write-key-value-pairs/).
const minLife = 60

// Edit changes entries, as keystore.Editor describes. It makes one bulk read, then one bulk write
// if values change, then one bulk delete if names are removed. An entry keeps its metadata and its
// expiration.
//
// KV has no transactions. After a write it may return the old value for a minute or more
// (https://developers.cloudflare.com/kv/concepts/how-kv-works/). If two edits change the same name
// within that time, one of them may be lost.
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

// entry is an entry of KV.
type entry struct {
	value      string
	metadata   *json.RawMessage // nil if there is none
	expiration float64          // in Unix seconds; 0 means never
}

// pair returns what to send so that only the value changes. KV drops what is not sent again. KV
// also refuses an expiration that is less than a minute away by its own clock. So near the end pair
// sends the remaining time instead, which can make the entry live up to a minute longer.
func (e entry) pair(change keystore.Change, now time.Time) kv.NamespaceBulkUpdateParamsBody {
	var pair kv.NamespaceBulkUpdateParamsBody
	set(&pair.Key.Value, &pair.Key.Present, change.Name)
	set(&pair.Value.Value, &pair.Value.Present, string(change.Value))
	if e.metadata != nil {
		set[any](&pair.Metadata.Value, &pair.Metadata.Present, *e.metadata)
	}
	left := e.expiration - float64(now.Unix())
	switch {
	case e.expiration == 0:
	case left < 2*minLife:
		set(&pair.ExpirationTTL.Value, &pair.ExpirationTTL.Present, max(left, minLife))
	default:
		set(&pair.Expiration.Value, &pair.Expiration.Present, e.expiration)
	}
	return pair
}

// entries returns the entries of names with their metadata and expiration. Names that do not exist
// are not in the result.
func (s *Store) entries(ctx context.Context, ns keystore.Namespace, names []string) (map[string]entry, error) {
	params := s.bulkGet(names)
	set(&params.WithMetadata.Value, &params.WithMetadata.Present, true)
	body, err := s.call(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkGet(ctx, s.namespace(ns), params, opts...)
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
	params := kv.NamespaceBulkUpdateParams{Body: pairs}
	set(&params.AccountID.Value, &params.AccountID.Present, s.account)
	return s.change(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkUpdate(ctx, s.namespace(ns), params, opts...)
		return err
	})
}

// remove deletes names, if there are any.
func (s *Store) remove(ctx context.Context, ns keystore.Namespace, names []string) error {
	if len(names) == 0 {
		return nil
	}
	params := kv.NamespaceBulkDeleteParams{Body: names}
	set(&params.AccountID.Value, &params.AccountID.Present, s.account)
	return s.change(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		_, err := s.namespaces.BulkDelete(ctx, s.namespace(ns), params, opts...)
		return err
	})
}

// change makes a call that writes. A second attempt does no harm, because it writes the same again.
func (s *Store) change(ctx context.Context, send send) error {
	attempts := 0
	body, err := s.call(ctx, func(ctx context.Context, opts ...option.RequestOption) error {
		attempts++
		return send(ctx, opts...)
	})
	switch {
	case err != nil && attempts > 1 && !errors.Is(err, keystore.ErrUnavailable) && !errors.Is(err, keystore.ErrTimeout):
		// The second attempt was refused, but the first one may have written.
		return fmt.Errorf("%w: the connection or the server failed, and then: %w", keystore.ErrUnavailable, err)
	case errors.Is(err, keystore.ErrUnauthorized): // a read with the same token has just succeeded
		return fmt.Errorf("%w: to write, the token needs the permission Workers KV Storage Write", err)
	case err != nil:
		return err
	}
	return decodeResult(body)
}
