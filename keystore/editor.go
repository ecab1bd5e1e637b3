package keystore

import (
	"bytes"
	"context"
	"errors"
	"unicode/utf8"
)

// Editor is a Store that can be written to. It is safe for concurrent use.
type Editor interface {
	Store

	// Edit replaces the values of names by what edit makes of them. There are 1 to 100 names, all of
	// them valid and different. edit is called once for each, in their order, with nil where the name
	// is not there; where it returns nil, the name is removed. What it returns as it came is not
	// written. It must not call Edit.
	//
	// An error of edit ends it with that error and nothing written, and so does a value that is not
	// UTF-8. Any other error is one of this package's: of the names that were to change, some may
	// have and others not.
	Edit(ctx context.Context, ns Namespace, names []string, edit func(name string, value []byte) ([]byte, error)) error
}

// Change is what has become of a name: its new value, or nil where it is to be removed.
type Change struct {
	Name  string
	Value []byte
}

// Changes is the part of Edit that does not write, for those who implement it: it calls edit and
// returns what is to change, in the order of names. values are those that are there now.
func Changes(names []string, values map[string][]byte, edit func(name string, value []byte) ([]byte, error)) ([]Change, error) {
	var changes []Change
	for _, name := range names {
		before := values[name]
		// A copy, so that an edit in place is seen as one.
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
