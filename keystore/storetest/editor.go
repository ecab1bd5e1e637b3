package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/sjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// TestEditor runs all tests of a keystore.Editor. The store of each Backend must be one. Each test
// calls open once, as in TestStore.
func TestEditor(t *testing.T, open func(t *testing.T) Backend) {
	for name, test := range map[string]func(e editor){
		"one value is edited":                            editOne,
		"many values are edited at once":                 editMany,
		"a name is added":                                addOne,
		"a name is removed":                              removeOne,
		"one call can add, edit and remove":              editAll,
		"a hundred names are edited at once":             editHundred,
		"an unchanged value is not written":              editNothing,
		"an edit in place is an edit":                    editInPlace,
		"unknown fields are kept":                        keepUnknownFields,
		"names are edited in order":                      editInOrder,
		"an error of the edit changes nothing":           editFails,
		"a value that is not UTF-8 changes nothing":      editToNonsense,
		"any valid name can be edited":                   editAnyName,
		"any value is written as it is":                  editAnyValue,
		"the other namespace is not touched":             editOneNamespace,
		"a later change to a value has no effect":        editOwnValues,
		"different names can be edited at the same time": concurrentEdits,
		"an edit with a cancelled context is not made":   cancelledEdit,
		"an edit after its deadline is not made":         lateEdit,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			e, ok := b.Store.(keystore.Editor)
			if !ok {
				t.Fatalf("%T is no keystore.Editor", b.Store)
			}
			test(editor{t, b, e})
		})
	}
}

type editor struct {
	*testing.T
	Backend
	keystore.Editor
}

// edit edits names of api_keys. The edit must succeed.
func (e editor) edit(edit func(name string, value []byte) ([]byte, error), names ...string) {
	e.Helper()
	if err := e.Edit(e.Context(), keystore.APIKeys, names, edit); err != nil {
		e.Errorf("Edit: %v", err)
	}
}

// want compares all entries of api_keys.
func (e editor) want(want map[string]string) {
	e.Helper()
	all := slices.Collect(maps.Keys(want))
	wantNames(e.T, e.Backend, keystore.APIKeys, all)
	for names := range slices.Chunk(all, 100) {
		some := make(map[string]string, len(names))
		for _, name := range names {
			some[name] = want[name]
		}
		wantValues(e.T, e.Backend, keystore.APIKeys, names, some)
	}
}

// wantSame runs do, which must write nothing.
func (e editor) wantSame(do func()) {
	e.Helper()
	before := e.Version(keystore.APIKeys)
	do()
	if after := e.Version(keystore.APIKeys); after != before {
		e.Errorf("something has been written: from %s to %s", before, after)
	}
}

// to returns an edit that replaces every value by value.
func to(value string) func(string, []byte) ([]byte, error) {
	return func(string, []byte) ([]byte, error) { return []byte(value), nil }
}

func remove(string, []byte) ([]byte, error) { return nil, nil }

func same(_ string, value []byte) ([]byte, error) { return value, nil }

func editOne(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "1", "b": "2", "c": "3"})
	for _, name := range []string{"b", "a", "c"} {
		before := e.Version(keystore.APIKeys)
		e.edit(func(asked string, value []byte) ([]byte, error) { return []byte(asked + string(value)), nil }, name)
		if e.Version(keystore.APIKeys) == before {
			e.Error("Version does not tell that there was a write")
		}
	}
	e.want(map[string]string{"a": "a1", "b": "b2", "c": "c3"})
	e.edit(to("4"), "b")
	e.edit(to("5"), "b")
	e.want(map[string]string{"a": "a1", "b": "5", "c": "c3"})
}

func editMany(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"})
	e.edit(func(_ string, value []byte) ([]byte, error) { return append(value, '0'), nil }, "d", "a", "c")
	e.want(map[string]string{"a": "10", "b": "2", "c": "30", "d": "40"})
}

func addOne(e editor) {
	want := make(map[string]string)
	for _, name := range []string{"b", "a", "c"} {
		e.edit(func(_ string, value []byte) ([]byte, error) {
			if value != nil {
				e.Errorf("%s is there: %q", name, value)
			}
			return []byte(name), nil
		}, name)
		want[name] = name
		e.want(want)
	}
}

func removeOne(e editor) {
	want := map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	e.Put(keystore.APIKeys, want)
	for _, name := range []string{"b", "a", "d", "c"} {
		e.edit(remove, name)
		delete(want, name)
		e.want(want)
	}
	e.edit(to("again"), "a")
	e.want(map[string]string{"a": "again"})
}

func editAll(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"old": "1", "stays": "2", "changes": "3", "not asked": "4"})
	made := map[string][]byte{"new": []byte("5"), "stays": []byte("2"), "changes": []byte("6"), "newer": {}}
	e.edit(func(name string, _ []byte) ([]byte, error) { return made[name], nil },
		"new", "old", "missing", "stays", "changes", "newer")
	e.want(map[string]string{"new": "5", "stays": "2", "changes": "6", "not asked": "4", "newer": ""})
}

func editHundred(e editor) {
	var names []string
	want := make(map[string]string)
	for i := range 100 {
		name := fmt.Sprintf("user%d@example.com", i)
		names = append(names, name)
		want[name] = strconv.Itoa(i)
	}
	e.edit(func(name string, _ []byte) ([]byte, error) { return []byte(want[name]), nil }, names...)
	e.want(want)
	e.edit(remove, names...)
	e.want(nil)
}

func editNothing(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "1", "b": ""})
	e.wantSame(func() {
		e.edit(same, "a", "b", "missing")
		e.edit(to("1"), "a")
		e.edit(to(""), "b")
		e.edit(remove, "missing", "missing too")
	})
	e.want(map[string]string{"a": "1", "b": ""})

	// An empty value is not the same as no value.
	e.edit(to(""), "c")
	e.edit(remove, "b")
	e.want(map[string]string{"a": "1", "c": ""})
}

func editInPlace(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "one"})
	e.edit(func(_ string, value []byte) ([]byte, error) {
		copy(value, "two")
		return value, nil
	}, "a")
	e.want(map[string]string{"a": "two"})
}

func keepUnknownFields(e editor) {
	const before = "{ \"createdAt\":\"2026-01-31T12:00:00Z\", \"status\" : \"Enabled\",\n \"note\":\"<a> & \\u00e9\", \"n\":1.50, \"x\":{\"y\":[null]} }"
	e.Put(keystore.APIKeys, map[string]string{"a": before})
	e.edit(func(_ string, value []byte) ([]byte, error) { return sjson.SetBytes(value, "status", "Disabled") }, "a")
	e.want(map[string]string{"a": strings.Replace(before, "Enabled", "Disabled", 1)})
}

func editInOrder(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "1", "b": "2", "c": "3"})
	names := []string{"c", "new", "a", "missing", "b"}
	var asked []string
	e.edit(func(name string, value []byte) ([]byte, error) {
		asked = append(asked, name)
		return append(value, "x"[:len(name)%2]...), nil
	}, names...)
	if !slices.Equal(asked, names) {
		e.Errorf("asked for %q, want %q", asked, names)
	}
}

func editFails(e editor) {
	want := map[string]string{"a": "1", "b": "2"}
	e.Put(keystore.APIKeys, want)
	reason := errors.New("no")
	e.wantSame(func() {
		err := e.Edit(e.Context(), keystore.APIKeys, []string{"a", "new", "b", "c"}, func(name string, _ []byte) ([]byte, error) {
			switch name {
			case "a":
				return nil, nil
			case "new":
				return []byte("3"), nil
			case "c":
				e.Error("asked for more after the error")
			}
			return []byte("4"), reason
		})
		if err != reason {
			e.Errorf("got %v, want the error as it was", err)
		}
	})
	e.want(want)
}

func editToNonsense(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "1"})
	e.wantSame(func() {
		err := e.Edit(e.Context(), keystore.APIKeys, []string{"a", "b"}, func(name string, _ []byte) ([]byte, error) {
			return []byte(map[string]string{"a": "2", "b": "secret\xff"}[name]), nil
		})
		if err == nil || strings.Contains(err.Error(), "secret") {
			e.Errorf("got %v", err)
		}
	})
	e.want(map[string]string{"a": "1"})
}

func editAnyName(e editor) {
	want := make(map[string]string)
	for i, name := range names {
		want[name] = strconv.Itoa(i)
	}
	wanted := func(name string, _ []byte) ([]byte, error) { return []byte(want[name]), nil }
	for _, name := range names {
		e.edit(wanted, name)
	}
	e.want(want)
	for _, name := range names {
		want[name] += "!"
	}
	e.edit(wanted, names...)
	e.want(want)
}

func editAnyValue(e editor) {
	want := map[string]string{
		"lines":    "one\ntwo\r\nthree\n\n",
		"quotes":   `{"a":"\"b\"","c":'d'} \ \\ \n`,
		"signs":    "<a href='?a&b'> 100% \u2028\u2029 \x00 \x7f \t",
		"letters":  "entwickler@bücher.example 開発者 😀 e\u0301",
		"object":   "{\"a\": \"\\u00e9\\n\",\n \"b\": [1, 2.50, null]}\n",
		"entries":  `[{"key":"b","value":"2"},{"key":"c","value":"3"}]`,
		"null":     "null",
		"empty":    "",
		"large":    strings.Repeat("0123456789abcdef", 1<<12),
		"replaced": "\ufffd",
	}
	e.edit(func(name string, _ []byte) ([]byte, error) { return []byte(want[name]), nil }, slices.Collect(maps.Keys(want))...)
	e.want(want)
	e.wantSame(func() { e.edit(same, slices.Collect(maps.Keys(want))...) })
}

func editOneNamespace(e editor) {
	for _, ns := range both {
		e.Put(ns, map[string]string{"a": ns.String(), "b": "2"})
	}
	e.wantSame(func() {
		if err := e.Edit(e.Context(), keystore.ProviderSettings, []string{"a", "b", "c"}, func(name string, value []byte) ([]byte, error) {
			return map[string][]byte{"a": bytes.ToUpper(value), "c": []byte("3")}[name], nil
		}); err != nil {
			e.Error(err)
		}
	})
	e.want(map[string]string{"a": "api_keys", "b": "2"})
	wantValues(e.T, e.Backend, keystore.ProviderSettings, []string{"a", "b", "c"}, map[string]string{"a": "PROVIDER_SETTINGS", "c": "3"})
}

func editOwnValues(e editor) {
	e.Put(keystore.APIKeys, map[string]string{"a": "1"})
	mine := []byte("2")
	e.edit(func(string, []byte) ([]byte, error) { return mine, nil }, "a")
	mine[0] = '3'
	e.want(map[string]string{"a": "2"})
}

func concurrentEdits(e editor) {
	const users, rounds = 8, 5
	want := make(map[string]string)
	var wg sync.WaitGroup
	for i := range users {
		name := fmt.Sprintf("user%d@example.com", i)
		want[name] = strings.Repeat("x", rounds)
		wg.Go(func() {
			for round := range rounds {
				e.edit(func(_ string, value []byte) ([]byte, error) { return append(value, 'x'), nil }, name)
				wantValues(e.T, e.Backend, keystore.APIKeys, []string{name}, map[string]string{name: strings.Repeat("x", round+1)})
			}
		})
	}
	wg.Wait()
	e.want(want)
}

func cancelledEdit(e editor) {
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	e.wantNotMade(ctx, context.Canceled)
}

func lateEdit(e editor) {
	ctx, cancel := context.WithDeadline(e.Context(), time.Now().Add(-time.Second))
	defer cancel()
	e.wantNotMade(ctx, keystore.ErrTimeout)
}

func (e editor) wantNotMade(ctx context.Context, want error) {
	e.Helper()
	e.Put(keystore.APIKeys, map[string]string{"a": "1"})
	e.wantSame(func() {
		if err := e.Edit(ctx, keystore.APIKeys, []string{"a"}, to("2")); !errors.Is(err, want) {
			e.Errorf("Edit: %v, want %v", err, want)
		}
	})
	e.want(map[string]string{"a": "1"})
}
