// Package storetest has the tests that every keystore.Store and every keystore.Editor must pass. It
// works like testing/fstest.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Backend is a store with functions that change its content directly. Put and Delete return when
// the store must see the change.
type Backend struct {
	Store  keystore.Store
	Put    func(ns keystore.Namespace, values map[string]string)
	Delete func(ns keystore.Namespace, names ...string)

	// Version returns a value that changes when an edit writes to a namespace, and only then.
	// TestEditor needs it, TestStore does not.
	Version func(ns keystore.Namespace) string
}

// TestStore runs all tests of a keystore.Store. Each test calls open once and expects an empty
// backend. Open should close the backend when the test that it gets has ended.
func TestStore(t *testing.T, open func(t *testing.T) Backend) {
	for name, test := range map[string]func(t *testing.T, b Backend){
		"an empty store has no names":                    emptyStore,
		"any valid name can be looked up":                anyName,
		"values are returned byte for byte":              anyValue,
		"a hundred names are looked up at once":          aHundredNames,
		"missing names do not hide those that are there": missingNames,
		"namespaces are separate":                        separateNamespaces,
		"changes are seen":                               changes,
		"all names are listed, however many":             longList,
		"a caller may change the values that it gets":    ownValues,
		"look-ups and listings can run at the same time": concurrentUse,
		"a cancelled context gets an error that says so": cancelled,
		"an expired deadline gets an error that says so": timeUp,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var both = []keystore.Namespace{keystore.APIKeys, keystore.ProviderSettings}

// wantValues looks up names and compares the values.
func wantValues(t *testing.T, b Backend, ns keystore.Namespace, names []string, want map[string]string) {
	t.Helper()
	values, err := b.Store.Get(t.Context(), ns, names)
	if err != nil {
		t.Errorf("Get: %v", err)
		return
	}
	got := make(map[string]string)
	for name, value := range values {
		got[name] = string(value)
	}
	if !maps.Equal(got, want) {
		t.Errorf("Get(%s, %d names) = %q, want %q", ns, len(names), got, want)
	}
}

// wantNames lists a namespace and compares the names in any order.
func wantNames(t *testing.T, b Backend, ns keystore.Namespace, want []string) {
	t.Helper()
	names, err := b.Store.List(t.Context(), ns)
	if err != nil {
		t.Errorf("List: %v", err)
		return
	}
	if got, want := slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Errorf("List(%s): %d names, want %d: %.200q", ns, len(got), len(want), got)
	}
}

func emptyStore(t *testing.T, b Backend) {
	for _, ns := range both {
		wantNames(t, b, ns, nil)
		wantValues(t, b, ns, []string{"dev@example.com", "x"}, nil)
	}
}

// names are hard to put into a URL, a path or JSON by hand.
var names = []string{
	"dev@example.com",
	"dev+test@example.com",
	"dev test@example.com",
	"entwickler@bücher.example",
	"開発者@example.com",
	"😀",
	"a/b", "/", "x/../../y", "../../../keys", "...",
	"a?b=c#d", "100%", "%2e%2e", "%2F", "a&b=c", "a:b;c,d",
	`a"b`, `a\b`, `C:\x`, "<a>", "{}", "null", "__proto__", "constructor",
	"a\u2028b", "a\u00a0b", "\u202eb", "e\u0301", "\u00e9",
	"Dev@Example.com", "DEV@EXAMPLE.COM",
	strings.Repeat("n", 512),
	strings.Repeat("é", 256),
}

func anyName(t *testing.T, b Backend) {
	want := make(map[string]string)
	for i, name := range names {
		if !keystore.ValidName(name) {
			t.Fatalf("%q is not a valid name", name)
		}
		want[name] = fmt.Sprintf(`{"n":%d}`, i)
	}
	b.Put(keystore.APIKeys, want)
	for _, name := range names {
		wantValues(t, b, keystore.APIKeys, []string{name}, map[string]string{name: want[name]})
	}
	wantValues(t, b, keystore.APIKeys, names, want)
	wantNames(t, b, keystore.APIKeys, names)
}

func anyValue(t *testing.T, b Backend) {
	want := map[string]string{
		"empty":    "",
		"space":    " \t\r\n ",
		"object":   "{\"a\": \"\\u00e9\\n\",\n \"b\": [1, 2.50, null]}\n",
		"null":     "null",
		"number":   "1e3",
		"text":     "no JSON: \" \\ / < > & ' é 😀 \u2028 \x00 \x7f",
		"envelope": `{"success":false,"result":{"values":{"null":null}}}`,
		"large":    strings.Repeat("0123456789abcdef", 1<<12),
	}
	b.Put(keystore.ProviderSettings, want)
	wantValues(t, b, keystore.ProviderSettings, slices.Collect(maps.Keys(want)), want)
}

func aHundredNames(t *testing.T, b Backend) {
	want := make(map[string]string)
	for i := range 100 {
		want[fmt.Sprintf("user%d@example.com", i)] = fmt.Sprint(i)
	}
	b.Put(keystore.APIKeys, want)
	wantValues(t, b, keystore.APIKeys, slices.Collect(maps.Keys(want)), want)
}

func missingNames(t *testing.T, b Backend) {
	b.Put(keystore.APIKeys, map[string]string{"a": "1", "b": "2", "c": "3"})
	wantValues(t, b, keystore.APIKeys, []string{"a", "x", "b", "y", "c", "z"}, map[string]string{"a": "1", "b": "2", "c": "3"})
	wantValues(t, b, keystore.APIKeys, []string{"x", "a"}, map[string]string{"a": "1"})
	wantValues(t, b, keystore.APIKeys, []string{"x", "y", "A", "a ", "a/"}, nil)
	wantValues(t, b, keystore.APIKeys, []string{"a", "a"}, map[string]string{"a": "1"})
}

func separateNamespaces(t *testing.T, b Backend) {
	b.Put(keystore.APIKeys, map[string]string{"both": "user", "user": "1"})
	b.Put(keystore.ProviderSettings, map[string]string{"both": "provider", "provider": "2"})
	asked := []string{"both", "user", "provider"}
	wantValues(t, b, keystore.APIKeys, asked, map[string]string{"both": "user", "user": "1"})
	wantValues(t, b, keystore.ProviderSettings, asked, map[string]string{"both": "provider", "provider": "2"})
	wantNames(t, b, keystore.APIKeys, []string{"both", "user"})
	wantNames(t, b, keystore.ProviderSettings, []string{"both", "provider"})
}

func changes(t *testing.T, b Backend) {
	for i := range 5 {
		// The values have the same length, and follow as fast as possible.
		b.Put(keystore.APIKeys, map[string]string{"a": fmt.Sprint(i), "b": "b"})
		wantValues(t, b, keystore.APIKeys, []string{"a", "b"}, map[string]string{"a": fmt.Sprint(i), "b": "b"})
	}
	b.Delete(keystore.APIKeys, "a")
	wantValues(t, b, keystore.APIKeys, []string{"a", "b"}, map[string]string{"b": "b"})
	wantNames(t, b, keystore.APIKeys, []string{"b"})
	b.Delete(keystore.APIKeys, "b")
	wantNames(t, b, keystore.APIKeys, nil)
	b.Put(keystore.APIKeys, map[string]string{"a": "again"})
	wantNames(t, b, keystore.APIKeys, []string{"a"})
}

func longList(t *testing.T, b Backend) {
	values := make(map[string]string)
	for i := range 2345 {
		values[fmt.Sprintf("user%d@example.com", i)] = "{}"
	}
	all := slices.Collect(maps.Keys(values))
	b.Put(keystore.APIKeys, values)
	wantNames(t, b, keystore.APIKeys, all)

	// The names that are left come after whole pages of deleted ones.
	slices.Sort(all)
	b.Delete(keystore.APIKeys, all[:2300]...)
	wantNames(t, b, keystore.APIKeys, all[2300:])
}

func ownValues(t *testing.T, b Backend) {
	b.Put(keystore.APIKeys, map[string]string{"a": "secret"})
	values, err := b.Store.Get(t.Context(), keystore.APIKeys, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	clear(values["a"])
	delete(values, "a")
	wantValues(t, b, keystore.APIKeys, []string{"a"}, map[string]string{"a": "secret"})
}

func concurrentUse(t *testing.T, b Backend) {
	const users, rounds = 8, 20
	for _, ns := range both {
		b.Put(ns, map[string]string{"a": ns.String()})
	}
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			ns := both[i%2]
			for range rounds {
				wantValues(t, b, ns, []string{"a", "x"}, map[string]string{"a": ns.String()})
				wantNames(t, b, ns, []string{"a"})
			}
		})
	}
	wg.Wait()
}

func cancelled(t *testing.T, b Backend) {
	b.Put(keystore.APIKeys, map[string]string{"a": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, b, ctx, context.Canceled)
	wantValues(t, b, keystore.APIKeys, []string{"a"}, map[string]string{"a": "1"})
}

func timeUp(t *testing.T, b Backend) {
	b.Put(keystore.APIKeys, map[string]string{"a": "1"})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	wantError(t, b, ctx, keystore.ErrTimeout)
	wantValues(t, b, keystore.APIKeys, []string{"a"}, map[string]string{"a": "1"})
}

func wantError(t *testing.T, b Backend, ctx context.Context, want error) {
	t.Helper()
	if values, err := b.Store.Get(ctx, keystore.APIKeys, []string{"a"}); !errors.Is(err, want) || len(values) != 0 {
		t.Errorf("Get: %v, %q, want %v", err, values, want)
	}
	if names, err := b.Store.List(ctx, keystore.APIKeys); !errors.Is(err, want) || len(names) != 0 {
		t.Errorf("List: %v, %q, want %v", err, names, want)
	}
}
