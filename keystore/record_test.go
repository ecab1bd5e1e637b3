package keystore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func record(t testing.TB, value string) *Record {
	t.Helper()
	r, err := ParseRecord([]byte(value))
	if err != nil {
		t.Fatalf("%v in %s", err, value)
	}
	return r
}

// opens returns those of keys that let the user in at the time at.
func opens(t testing.TB, r *Record, at time.Time, keys ...string) string {
	t.Helper()
	k, err := ParseAPIKey(r.Bytes())
	if err != nil {
		t.Fatalf("%v in %s", err, r.Bytes())
	}
	var open []string
	for _, key := range keys {
		if k.Check(key, at) {
			open = append(open, key)
		}
	}
	return strings.Join(open, " ")
}

func TestANewRecordLetsInItsKey(t *testing.T) {
	r := NewRecord("a", noon)
	want := `{"apiKeyHash":"` + HashKey("a") + `","createdAt":"2026-01-31T12:00:00Z","status":"Enabled"}`
	if got := string(r.Bytes()); got != want || opens(t, r, noon, "a", "b") != "a" {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEditsKeepAllOtherMembers(t *testing.T) {
	const worker = `{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled", "note" : {"x": [1.50, "é\u0041"]},"metadata":{"team":"core"}}`
	const kept = `"note":{"x": [1.50, "é\u0041"]}`
	for name, test := range map[string]struct {
		edit func(*Record)
		want string
	}{
		"disabled": {func(r *Record) { r.SetEnabled(false) },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"Disabled",` + kept + `,"metadata":{"team":"core"}}`},
		"expiring": {func(r *Record) { r.SetExpires(noon) },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"core"},"expiresAt":"2026-01-31T12:00:00Z"}`},
		"never expiring": {func(r *Record) { r.SetExpires(noon); r.SetExpires(time.Time{}) },
			worker},
		"limited to models": {func(r *Record) { r.SetModels([]string{"a/<b>", `"`}) },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"core"},"models":["a/<b>","\""]}`},
		"limited to none": {func(r *Record) { r.SetModels([]string{}) },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"core"},"models":[]}`},
		"not limited": {func(r *Record) { r.SetModels([]string{}); r.SetModels(nil) },
			worker},
		"hashed": {func(r *Record) { r.HashPlainKey() },
			`{"createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"core"},"apiKeyHash":"` + HashKey("a") + `"}`},
		"with metadata": {func(r *Record) { _ = r.SetMetadata("x.y", "1"); _ = r.SetMetadata("team", "<b>") },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"<b>","x.y":"1"}}`},
		"with limits": {func(r *Record) {
			r.SetLimits(&Limits{Requests: []string{"120/1m"}, Tokens: []string{}, Parallel: new(int64)})
		},
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"core"},"limits":{"requests":["120/1m"],"tokens":[],"parallel":0}}`},
		"without limits again": {func(r *Record) { r.SetLimits(&Limits{Tokens: []string{}}); r.SetLimits(new(Limits)) },
			worker},
		"without one metadata entry": {func(r *Record) { _ = r.SetMetadata("x", "1"); r.RemoveMetadata("team"); r.RemoveMetadata("y") },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"x":"1"}}`},
		"without any metadata": {func(r *Record) { r.RemoveMetadata("team") },
			`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `}`},
		"rotated": {func(r *Record) { r.Rotate("b", noon, time.Hour) },
			`{"createdAt":"2023-10-27T12:00:00Z","status":"enabled",` + kept + `,"metadata":{"team":"core"},"apiKeyHash":"` + HashKey("b") + `","previous":{"apiKeyHash":"` + HashKey("a") + `","expiresAt":"2026-01-31T13:00:00Z"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t, worker)
			test.edit(r)
			if got := string(r.Bytes()); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			record(t, string(r.Bytes()))
		})
	}
}

func TestTheOldKeyWorksUntilItsGraceEnds(t *testing.T) {
	r := record(t, `{"apiKey":"old","status":"Enabled"}`)
	r.Rotate("new", noon, time.Hour)
	if got := opens(t, r, noon.Add(time.Hour-time.Second), "old", "new"); got != "old new" {
		t.Errorf("within the grace: %q", got)
	}
	if got := opens(t, r, noon.Add(time.Hour), "old", "new"); got != "new" {
		t.Errorf("after it: %q", got)
	}
	r.Rotate("newest", noon, time.Minute)
	if got := opens(t, r, noon, "old", "new", "newest"); got != "new newest" {
		t.Errorf("rotated again: %q", got)
	}
	r.Rotate("last", noon, 0)
	if got := opens(t, r, noon, "old", "new", "newest", "last"); got != "last" {
		t.Errorf("without a grace: %q", got)
	}
	if strings.Contains(string(r.Bytes()), "previous") {
		t.Errorf("without a grace a key that is over stays: %s", r.Bytes())
	}
	none := record(t, `{"status":"Enabled"}`)
	none.Rotate("first", noon, time.Hour)
	if got := string(none.Bytes()); strings.Contains(got, "previous") || opens(t, none, noon, "first", "") != "first" {
		t.Errorf("where there was no key: %s", got)
	}
}

// encoding/json takes names in any case, and the last of several members.
func TestAnEditLeavesNoOtherMemberOfTheSameName(t *testing.T) {
	r := record(t, `{"STATUS":"Enabled","ApiKey":"plain","apikey":"other","status":"Enabled","Previous":{"apiKeyHash":"`+HashKey("p")+`","expiresAt":"2030-01-01T00:00:00Z"},"APIKEYHASH":null,"expiresat":"2027-01-01T00:00:00Z"}`)
	if got := opens(t, r, noon, "plain", "other", "p"); got != "other p" {
		t.Fatalf("at first: %q", got)
	}
	if !r.HashPlainKey() || r.HashPlainKey() || strings.Contains(string(r.Bytes()), "plain") || opens(t, r, noon, "plain", "other", "p") != "other p" {
		t.Errorf("hashed: %s", r.Bytes())
	}
	r.Rotate("new", noon, 0)
	if got := opens(t, r, noon, "plain", "other", "p", "new"); got != "new" {
		t.Errorf("rotated: %q in %s", got, r.Bytes())
	}
	r.SetExpires(time.Time{})
	if got := opens(t, r, noon.AddDate(10, 0, 0), "new"); got != "new" {
		t.Errorf("never expiring: %s", r.Bytes())
	}
	r.SetEnabled(false)
	if got := opens(t, r, noon, "new"); got != "" {
		t.Errorf("disabled: %s", r.Bytes())
	}
}

func TestAHashCountsMoreThanAPlainKey(t *testing.T) {
	r := record(t, `{"apiKey":"plain","apiKeyHash":"`+HashKey("hashed")+`","status":"Enabled"}`)
	if !r.HashPlainKey() || opens(t, r, noon, "plain", "hashed") != "hashed" || strings.Contains(string(r.Bytes()), "plain") {
		t.Errorf("%s", r.Bytes())
	}
}

func TestInvalidMetadataIsRefused(t *testing.T) {
	r := record(t, `{"metadata":{"a":1,"b":2,"c":3},"status":"Enabled"}`)
	for _, name := range []string{"", "user", "cf.user"} {
		if err := r.SetMetadata(name, "x"); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	if err := r.SetMetadata("d", "x"); err != nil {
		t.Error(err)
	}
	before := string(r.Bytes())
	if err := r.SetMetadata("e", "x"); err == nil || string(r.Bytes()) != before {
		t.Errorf("a fifth entry: %v, %s", err, r.Bytes())
	}
	if err := r.SetMetadata("a", "x"); err != nil {
		t.Error(err)
	}
}

func TestBrokenRecordsAreRefused(t *testing.T) {
	for _, value := range []string{``, `[]`, `{"apiKey":`, `{"apiKeyHash":"x"}`, `{"expiresAt":"soon"}`, `{"status":1}`} {
		if _, err := ParseRecord([]byte(value)); err == nil {
			t.Errorf("%q is taken", value)
		}
	}
}

func TestInfoShowsNoKey(t *testing.T) {
	r := record(t, `{"apiKey":"a","createdAt":"then","status":"ENABLED","expiresAt":"2026-01-31T12:00:00Z","models":["x/*"],"metadata":{"team":"core","user":"no"},"previous":{"apiKeyHash":"`+HashKey("p")+`","expiresAt":"2026-01-31T12:00:00Z"}}`)
	want := Info{
		Enabled: true, CreatedAt: "then", ExpiresAt: noon, PreviousUntil: noon, Models: []string{"x/*"},
		Metadata: []MetadataEntry{{"team", json.RawMessage(`"core"`)}}, KeyID: HashKey("a")[len(hashPrefix):][:8], PlainKey: true,
	}
	if got := r.Info(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := record(t, `{}`).Info(); !reflect.DeepEqual(got, Info{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestAnOverriddenPlainKeyIsRemovedToo(t *testing.T) {
	for _, value := range []string{
		`{"apiKey":"plain","apikey":"","status":"Enabled"}`,
		`{"apiKey":"","APIKEY":"plain","apikey":null,"apiKey":"","status":"Enabled"}`,
		`{"apiKey":"plain","apikey":"","apiKeyHash":"` + HashKey("hashed") + `","status":"Enabled"}`,
	} {
		r := record(t, value)
		before := opens(t, r, noon, "", "plain", "hashed")
		if !r.Info().PlainKey || !r.HashPlainKey() || r.Info().PlainKey || strings.Contains(string(r.Bytes()), "plain") {
			t.Errorf("%s became %s", value, r.Bytes())
		}
		if strings.Contains(string(r.Bytes()), `"apiKeyHash":""`) {
			t.Errorf("%s: there is no key to hash: %s", value, r.Bytes())
		}
		if after := opens(t, r, noon, "", "plain", "hashed"); after != before {
			t.Errorf("%s: %q open the door, before %q", value, after, before)
		}
	}
}

func TestARecordWithAByteOrderMarkCanBeEdited(t *testing.T) {
	r := record(t, "\ufeff{\r\n\"apiKey\":\"a\",\"status\":\"Enabled\"}")
	r.SetEnabled(false)
	if got, want := string(r.Bytes()), `{"apiKey":"a","status":"Disabled"}`; got != want {
		t.Errorf("the record became %q, want %q", got, want)
	}
	s, err := ParseSettingsRecord([]byte("\ufeff{\"headers\":{\"a\":\"b\\n\"}}"))
	if err != nil {
		t.Fatal(err)
	}
	s.SetHeader("c", "d")
	if got, want := string(s.Bytes()), `{"headers":{"a":"b\n","c":"d"}}`; got != want {
		t.Errorf("the settings became %q, want %q", got, want)
	}
}

func TestAnEditThatChangesNothingKeepsEveryByte(t *testing.T) {
	for value, edit := range map[string]func(*Record){
		`{ "status" : "ENABLED" }`:      func(r *Record) { r.SetEnabled(true) },
		`{ "status":"disabled"}`:        func(r *Record) { r.SetEnabled(false) },
		"\ufeff{ \"status\":\"x\"}\r\n": func(r *Record) { r.SetExpires(time.Time{}) },
		"{\"\\u0061\":1\n}":             func(r *Record) { r.SetExpires(time.Time{}); r.SetModels(nil); r.HashPlainKey() },
	} {
		r := record(t, value)
		edit(r)
		if got := string(r.Bytes()); got != value {
			t.Errorf("%s became %s", value, got)
		}
	}
}

func TestAnEndAfterTheYear9999BecomesTheLastSecond(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -2*60*60)),
	} {
		r := NewRecord("a", noon)
		r.SetExpires(at)
		if got := opens(t, r, noon.AddDate(7000, 0, 0), "a"); got != "a" || r.Info().ExpiresAt.Year() != 9999 {
			t.Errorf("%v: %s", at, r.Bytes())
		}
	}
}

func TestMetadataIsCountedAsTheGatewayCountsIt(t *testing.T) {
	for name, test := range map[string]struct{ before, set, want string }{
		"an entry that is not sent does not count":        {`{"user":"x","n":{},"a":1,"b":2,"c":3}`, "d", `{"user":"x","n":{},"a":1,"b":2,"c":3,"d":"v"}`},
		"an entry can be changed when there are too many": {`{"a":1,"b":2,"c":3,"d":4,"e":5}`, "a", `{"a":"v","b":2,"c":3,"d":4,"e":5}`},
		"an entry that would not be sent is refused":      {`{"a":1,"b":2,"c":3,"d":4,"e":5}`, "e", ""},
		"a name given twice is set once":                  {`{"a":1,"b":2,"a":3}`, "a", `{"a":"v","b":2}`},
		"null after entries is no metadata":               {`{"a":1},"metadata":null`, "b", `{"b":"v"}`},
		"the last of several is metadata":                 {`{"a":1},"Metadata":{"b":1}`, "c", `{"b":1,"c":"v"}`},
		"names that differ in case are different":         {`{"a":1}`, "A", `{"a":1,"A":"v"}`},
		"null metadata can be replaced":                   {`null`, "a", `{"a":"v"}`},
	} {
		t.Run(name, func(t *testing.T) {
			before := `{"metadata":` + test.before + `}`
			want := `{"metadata":` + test.want + `}`
			if test.want == "" {
				want = before
			}
			r := record(t, before)
			if err := r.SetMetadata(test.set, "v"); (err != nil) != (test.want == "") || string(r.Bytes()) != want {
				t.Errorf("%v, %s, want %s", err, r.Bytes(), want)
			}
		})
	}
}

// TestAfterAnyEditsTheKeysOpenAsPromised makes random edits and compares with a model.
func TestAfterRandomEditsTheRightKeysWork(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		r := record(t, `{"Apikey":"gone","apiKey":"k0","x":{"y": 1.50},"STATUS":"disabled","status":"Enabled"}`)
		keys, enabled, now := []string{"gone", "k0"}, true, noon
		var end, graceEnd time.Time
		for range 20 {
			now = now.Add(time.Duration(random.IntN(120)) * time.Second)
			switch random.IntN(5) {
			case 0:
				enabled = random.IntN(2) == 0
				r.SetEnabled(enabled)
			case 1:
				end = time.Time{}
				if random.IntN(2) == 0 {
					end = now.Add(time.Duration(random.IntN(400)) * time.Second)
				}
				r.SetExpires(end)
			case 2:
				grace := time.Duration(random.IntN(3)) * time.Minute
				graceEnd = now.Add(grace)
				keys = append(keys, fmt.Sprintf("k%d", len(keys)))
				r.Rotate(keys[len(keys)-1], now, grace)
			case 3:
				r.HashPlainKey()
			case 4:
				r.SetModels([]string{"a"})
			}
			var want []string
			if enabled && (end.IsZero() || now.Before(end)) {
				if now.Before(graceEnd) {
					want = append(want, keys[len(keys)-2])
				}
				want = append(want, keys[len(keys)-1])
			}
			if got := opens(t, r, now, keys...); got != strings.Join(want, " ") {
				t.Fatalf("seed %d: %q open the door, want %q: %s", seed, got, want, r.Bytes())
			}
			if !strings.Contains(string(r.Bytes()), `"x":{"y": 1.50}`) {
				t.Fatalf("seed %d: lost a member: %s", seed, r.Bytes())
			}
		}
	}
}

type namedValue struct{ name, value string }

// membersOf returns the members of an object as encoding/json reads them.
func membersOf(t *testing.T, object []byte) (found []namedValue) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%v in %s", err, object)
		}
		found = append(found, namedValue{name.(string), string(value)})
	}
	return found
}

// others returns the members that no edit of the fuzz test changes.
func others(t *testing.T, object []byte) []namedValue {
	t.Helper()
	return slices.DeleteFunc(membersOf(t, object), func(m namedValue) bool {
		owned := func(s string) bool { return strings.EqualFold(s, m.name) }
		return slices.ContainsFunc([]string{"apiKey", "apiKeyHash", "status", "expiresAt", "previous", "models", "metadata", "limits"}, owned)
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"apiKey":"a","createdAt":"2023-10-27T12:00:00Z","status":"enabled","x":{"y":1.50,"apiKey":"a"}}`), "k")
	f.Add([]byte(`{"status":null,"STATUS":"Enabled","previous":{"apiKeyHash":"`+HashKey("p")+`","expiresAt":"2030-01-01T00:00:00Z"},"metadata":{"a":1,"A":2}}`), "")
	f.Fuzz(func(t *testing.T, value []byte, name string) {
		r, err := ParseRecord(value)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Bytes(), value) {
			t.Fatalf("%s became %s without an edit", value, r.Bytes())
		}
		_ = r.SetMetadata(name, name)
		r.RemoveMetadata(name)
		r.SetLimits(&Limits{Requests: []string{name}})
		r.SetModels([]string{name})
		r.SetExpires(noon.AddDate(1, 0, 0))
		r.HashPlainKey()
		r.Rotate("new", noon, time.Hour)
		r.SetEnabled(true)
		if got := opens(t, r, noon, "new"); got != "new" {
			t.Fatalf("%s became %s", value, r.Bytes())
		}
		if slices.ContainsFunc(membersOf(t, r.Bytes()), func(m namedValue) bool { return strings.EqualFold(m.name, "apiKey") }) {
			t.Fatalf("%s still has a key in the clear: %s", value, r.Bytes())
		}
		if before, after := others(t, value), others(t, r.Bytes()); !slices.Equal(before, after) {
			t.Fatalf("%s became %s", before, after)
		}
		r.SetEnabled(false)
		if got := opens(t, r, noon, "new"); got != "" {
			t.Fatalf("%s became %s", value, r.Bytes())
		}
	})
}
