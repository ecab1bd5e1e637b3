package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// addUser makes a key for a new user. The key is in no other place.
func (a *administration) addUser(ctx context.Context, email string, r *restrictions, limited, mustEnd bool) (key string, record *keystore.Record, err error) {
	if err := checkEmail(email); err != nil {
		return "", nil, err
	}
	now := time.Now()
	key = keystore.NewKey()
	record = keystore.NewRecord(key, now)
	if err := r.apply(record, limited, mustEnd, now); err != nil {
		return "", nil, err
	}
	written := false
	err = a.edit(ctx, keystore.APIKeys, []string{email}, func(email string, value []byte) ([]byte, error) {
		if value != nil {
			return nil, fmt.Errorf("%s has a key already: use `keys rotate` for another one, or `keys remove` first", email)
		}
		written = true
		return record.Bytes(), nil
	})
	if err = a.settle(ctx, email, key, written, err); err != nil {
		return "", nil, err
	}
	a.say("Made a key for %s. It is shown this once.", email)
	a.forget(a.absent, email)
	return key, record, nil
}

// rotateUser makes another key for a user. The previous key still works for the time grace, such as 24h. If replaced
// is not "", it is the ID of the key to replace, so that a form that is sent twice does not replace two keys.
func (a *administration) rotateUser(ctx context.Context, email, replaced, grace string) (key string, record *keystore.Record, err error) {
	d, err := caddy.ParseDuration(grace)
	if err != nil || d < 0 {
		return "", nil, fmt.Errorf("--grace %q: must be a duration such as 24h, not negative", grace)
	}
	key = keystore.NewKey()
	record, err = a.editUser(ctx, email, func(r *keystore.Record) error {
		if replaced != "" && r.Info().KeyID != replaced {
			return fmt.Errorf("the key of %s was replaced after this page was loaded; nothing was changed", email)
		}
		r.Rotate(key, time.Now(), d)
		return nil
	})
	if err = a.settle(ctx, email, key, record != nil, err); err != nil {
		return "", nil, err
	}
	ends := "at once"
	if until := record.Info().PreviousUntil; !until.IsZero() {
		ends = "at " + until.Format(time.RFC3339)
	}
	a.say("Made another key for %s. It is shown this once. The previous key ends %s.", email, ends)
	a.warnIfKeptOut(email, record)
	a.forget(a.maxAge, email)
	return key, record, nil
}

// setEnabled lets a user in again, or locks the user out.
func (a *administration) setEnabled(ctx context.Context, email string, enabled bool) error {
	record, err := a.editUser(ctx, email, func(r *keystore.Record) error {
		r.SetEnabled(enabled)
		return nil
	})
	if err == nil && enabled {
		a.say("Enabled %s.", email)
	} else if err == nil {
		a.say("Disabled %s.", email)
	}
	if err == nil || uncertain(err) {
		a.forget(a.maxAge, email)
	}
	if err == nil && enabled {
		a.warnIfKeptOut(email, record)
	}
	return err
}

// setUser changes what a user may do. limited and mustEnd say whether the models and the end change.
func (a *administration) setUser(ctx context.Context, email string, r *restrictions, limited, mustEnd bool) error {
	record, err := a.editUser(ctx, email, func(record *keystore.Record) error {
		r.removing = true
		return r.apply(record, limited, mustEnd, time.Now())
	})
	if err == nil {
		a.say("Changed %s.", email)
	}
	if err == nil || uncertain(err) {
		a.forget(a.maxAge, email)
	}
	if err == nil {
		a.warnIfKeptOut(email, record)
	}
	return err
}

// removeUser removes a user and the user's key.
func (a *administration) removeUser(ctx context.Context, email string) error {
	there := false
	err := a.edit(ctx, keystore.APIKeys, []string{email}, func(_ string, value []byte) ([]byte, error) {
		there = value != nil
		return nil, nil
	})
	if err == nil && !there {
		err = fmt.Errorf("there is no user %s", email)
	}
	if err == nil {
		a.say("Removed %s.", email)
	}
	a.forget(a.maxAge, email) // the user may be gone even after an error
	return err
}

// warnIfKeptOut prints a warning if the user's key does not work.
func (a *administration) warnIfKeptOut(email string, record *keystore.Record) {
	if status := viewOf(email, record).Status; status != "enabled" {
		a.say("%s is %s, and cannot sign in until that changes.", email, status)
	}
}

// settle finds out whether the keystore has written a new key although it reported an error. The
// caller shows the key only then.
func (a *administration) settle(ctx context.Context, email, key string, written bool, err error) error {
	if !written || !uncertain(err) {
		return err
	}
	values, unknown := a.get(ctx, keystore.APIKeys, []string{email})
	switch {
	case gjson.GetBytes(values[email], "apiKeyHash").Str == keystore.HashKey(key):
		return nil
	case a.mayShowLater(unknown, err):
		return fmt.Errorf("%w; whether the key was written is not known: look in a minute with `keys show %s`; make another key with `keys rotate` if the user exists, and with `keys add` if not", err, email)
	}
	return err
}

// mayShowLater reports whether a write that failed with err may still become visible. unknown is
// the error of a read after it. Workers KV can show the old value for a minute
// (https://developers.cloudflare.com/kv/concepts/how-kv-works/).
func (a *administration) mayShowLater(unknown, err error) bool {
	return uncertain(err) && (unknown != nil || a.remote)
}

// uncertain reports whether a write may have been made although it failed.
func uncertain(err error) bool {
	return errors.Is(err, keystore.ErrUnavailable) || errors.Is(err, keystore.ErrTimeout)
}

// editUser changes the record of an existing user.
func (a *administration) editUser(ctx context.Context, email string, change func(*keystore.Record) error) (record *keystore.Record, err error) {
	err = a.edit(ctx, keystore.APIKeys, []string{email}, func(email string, value []byte) ([]byte, error) {
		if record, err = parseUser(email, value); err != nil {
			return nil, err
		}
		if err := change(record); err != nil {
			return nil, err
		}
		return record.Bytes(), nil
	})
	return record, err
}

func parseUser(email string, value []byte) (*keystore.Record, error) {
	if value == nil {
		return nil, fmt.Errorf("there is no user %s", email)
	}
	record, err := keystore.ParseRecord(value)
	if err != nil {
		return nil, fmt.Errorf("the entry of %s is broken and was not changed: %w", email, err)
	}
	return record, nil
}
