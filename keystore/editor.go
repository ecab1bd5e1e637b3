package keystore

import (
	"bytes"
	"context"
	"errors"
	"unicode/utf8"
)

// Editor is a Store whose entries can be changed. It is safe for concurrent use.
type Editor interface {
	Store

	// Edit calls edit once for each name, in the order of names, with the name's value, or with nil
	// if the name does not exist. It then stores the value that edit returns. If edit returns nil,
	// Edit removes the name. If edit returns the value unchanged, Edit does not write it. names has
	// 1 to 100 valid, different names. edit must not call Edit.
	//
	// If edit returns an error, or a value that is not UTF-8, Edit writes nothing and returns that
	// error. All other errors match one of this package's errors. Some of the changes may then have
	// been made, and others not.
	Edit(ctx context.Context, ns Namespace, names []string, edit func(name string, value []byte) ([]byte, error)) error
}

// Change is a name with its new value. A nil value removes the name.
type Change struct {
	Name  string
	Value []byte
}

// Changes does the part of Edit that comes before writing, for implementations of Editor. It calls
// edit for each name and returns the changes, in the order of names. values are the current ones.
func Changes(names []string, values map[string][]byte, edit func(name string, value []byte) ([]byte, error)) ([]Change, error) {
	var changes []Change
	for _, name := range names {
		before := values[name]
		// edit gets a copy: bytes.Equal could not see a change that edit makes in place.
		after, err := edit(name, bytes.Clone(before))
		if err != nil {
			return nil, err
		}
		if (before == nil) == (after == nil) && bytes.Equal(before, after) {
			continue
		}
		if !utf8.Valid(after) {
			return nil, errNotUTF8
		}
		changes = append(changes, Change{name, after})
	}
	return changes, nil
}

var errNotUTF8 = errors.New("a value is not UTF-8, and nothing is written")
