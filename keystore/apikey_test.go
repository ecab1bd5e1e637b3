package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestCheckLetsInOnlyTheRightKey(t *testing.T) {
	for name, test := range map[string]struct {
		record string
		key    string
		want   bool
	}{
		"the Worker's record":                                   {`{"apiKey":"secret","createdAt":"2023-10-27T12:00:00Z","status":"Enabled"}`, "secret", true},
		"a wrong key":                                           {`{"apiKey":"secret","status":"Enabled"}`, "other", false},
		"the beginning of the key":                              {`{"apiKey":"secret","status":"Enabled"}`, "secre", false},
		"an empty key for a record without one":                 {`{"status":"Enabled"}`, "", false},
		"an empty key for an empty one":                         {`{"apiKey":"","status":"Enabled"}`, "", false},
		"a hashed key":                                          {`{"apiKeyHash":"` + hashed("secret") + `","status":"Enabled"}`, "secret", true},
		"a hash in capitals":                                    {`{"apiKeyHash":"sha256:` + strings.ToUpper(hashed("secret")[7:]) + `","status":"Enabled"}`, "secret", true},
		"the hash itself is no key":                             {`{"apiKeyHash":"` + hashed("secret") + `","status":"Enabled"}`, hashed("secret"), false},
		"a hash counts over a key in the clear":                 {`{"apiKey":"old","apiKeyHash":"` + hashed("secret") + `","status":"Enabled"}`, "old", false},
		"the status in another case":                            {`{"apiKey":"secret","status":"eNABLED"}`, "secret", true},
		"disabled":                                              {`{"apiKey":"secret","status":"Disabled"}`, "secret", false},
		"any other status is disabled":                          {`{"apiKey":"secret","status":"paused"}`, "secret", false},
		"no status is disabled":                                 {`{"apiKey":"secret"}`, "secret", false},
		"not expired yet":                                       {`{"apiKey":"secret","status":"Enabled","expiresAt":"2026-01-31T12:00:01Z"}`, "secret", true},
		"expired this moment":                                   {`{"apiKey":"secret","status":"Enabled","expiresAt":"2026-01-31T12:00:00Z"}`, "secret", false},
		"expired in another time zone":                          {`{"apiKey":"secret","status":"Enabled","expiresAt":"2026-01-31T12:30:00+01:00"}`, "secret", false},
		"the previous key during its grace":                     {`{"apiKeyHash":"` + hashed("new") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-02-01T00:00:00Z"}}`, "old", true},
		"the new key during the grace":                          {`{"apiKeyHash":"` + hashed("new") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-02-01T00:00:00Z"}}`, "new", true},
		"the previous key after its grace":                      {`{"apiKeyHash":"` + hashed("new") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-01-31T00:00:00Z"}}`, "old", false},
		"a previous key without an end is no key":               {`{"apiKeyHash":"` + hashed("new") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashed("old") + `"}}`, "old", false},
		"the previous key of an expired user":                   {`{"apiKeyHash":"` + hashed("new") + `","status":"Enabled","expiresAt":"2026-01-01T00:00:00Z","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-02-01T00:00:00Z"}}`, "old", false},
		"the previous key of a disabled user":                   {`{"apiKeyHash":"` + hashed("new") + `","status":"Disabled","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-02-01T00:00:00Z"}}`, "old", false},
		"a previous key beside a key in the clear":              {`{"apiKey":"new","status":"Enabled","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-02-01T00:00:00Z"}}`, "old", true},
		"an optional field that is null counts as not given":    {`{"apiKey":"secret","status":"Enabled","expiresAt":null,"previous":null,"models":null,"metadata":null}`, "secret", true},
		"a field of a later version does not shut the user out": {`{"apiKey":"secret","status":"Enabled","note":{"a":[1]}}`, "secret", true},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParseAPIKey([]byte(test.record))
			if err != nil {
				t.Fatal(err)
			}
			if got := k.CheckSum(sha256.Sum256([]byte(test.key)), now); got != test.want {
				t.Errorf("CheckSum is %v, want %v", got, test.want)
			}
			if got := k.Check(test.key, now); got != test.want {
				t.Errorf("Check is %v, want %v", got, test.want)
			}
		})
	}
}

func TestAnUnknownUserHasNoKey(t *testing.T) {
	var k *APIKey
	if k.Check("", now) || k.Check("anything", now) || k.CheckSum([sha256.Size]byte{}, now) {
		t.Error("an unknown user got in")
	}
}

func TestAPreviousKeyEndsByItself(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 2, day, 0, 0, 0, 0, time.UTC) }
	const previous = `"apiKeyHash":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","previous":{"apiKeyHash":"sha256:a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa","expiresAt":"2026-02-05T00:00:00Z"}`
	for name, test := range map[string]struct {
		record, key string
		end         time.Time
		previous    bool
	}{
		"a key without an end":            {`{"apiKey":"x"}`, "x", time.Time{}, false},
		"a key with an end":               {`{"apiKey":"x","expiresAt":"2026-02-09T00:00:00Z"}`, "x", at(9), false},
		"the previous key":                {`{` + previous + `}`, "y", at(5), true},
		"beside the previous key":         {`{` + previous + `}`, "x", time.Time{}, false},
		"the previous key of a short end": {`{` + previous + `,"expiresAt":"2026-02-02T00:00:00Z"}`, "y", at(2), true},
		"the previous key of a long end":  {`{` + previous + `,"expiresAt":"2026-02-09T00:00:00Z"}`, "y", at(5), true},
	} {
		k, err := ParseAPIKey([]byte(test.record))
		if err != nil {
			t.Fatal(err)
		}
		end, previous := k.EndOf(sha256.Sum256([]byte(test.key)))
		if !end.Equal(test.end) || previous != test.previous {
			t.Errorf("%s: %v, %v", name, end, previous)
		}
	}
}

func TestNoSumIsTheSumOfAMissingKey(t *testing.T) {
	k, err := ParseAPIKey([]byte(`{"status":"Enabled"}`))
	if err != nil || k.CheckSum([sha256.Size]byte{}, now) {
		t.Errorf("a user without a key got in, %v", err)
	}
}

func TestParseAPIKeyNamesTheFaultyField(t *testing.T) {
	for record, want := range map[string]string{
		``:                           "must be a JSON object",
		`"secret"`:                   "must be a JSON object",
		`{"apiKey":"secret"`:         "must be valid JSON",
		`{"apiKey":17}`:              "apiKey: must not be a number",
		`{"apiKeyHash":"secret"}`:    `apiKeyHash: must be "sha256:" and 64 hexadecimal digits`,
		`{"apiKeyHash":"sha256:12"}`: `apiKeyHash: must be "sha256:" and 64 hexadecimal digits`,
		`{"apiKeyHash":"` + hashed("secret")[7:] + `"}`:                      `apiKeyHash: must be "sha256:" and 64 hexadecimal digits`,
		`{"expiresAt":"secret"}`:                                             "expiresAt: must be a time such as 2026-01-31T12:00:00Z (RFC 3339)",
		`{"expiresAt":"0001-01-01T00:00:00Z"}`:                               "expiresAt: must be a time such as 2026-01-31T12:00:00Z (RFC 3339)",
		`{"expiresAt":"2030-01-01T00:00:00+24:60"}`:                          "expiresAt: must be a time such as 2026-01-31T12:00:00Z (RFC 3339)",
		`{"expiresAt":1700000000}`:                                           "expiresAt: must not be a number",
		`{"previous":{"apiKeyHash":"x","expiresAt":"2026-01-31T12:00:00Z"}}`: `previous.apiKeyHash: must be "sha256:" and 64 hexadecimal digits`,
		`{"previous":{"apiKeyHash":"` + hashed("a") + `","expiresAt":"x"}}`:  "previous.expiresAt: must be a time such as 2026-01-31T12:00:00Z (RFC 3339)",
		`{"models":"workers-ai/*"}`:                                          "models: must not be a string",
		`{"limits":{"requests":"120/1m"}}`:                                   "limits.requests: must not be a string",
		`{"limits":{"parallel":"8"}}`:                                        "limits.parallel: must not be a string",
		`{"metadata":["secret"]}`:                                            "metadata: must be an object",
	} {
		_, err := ParseAPIKey([]byte(record))
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", record, err, want)
		}
	}
}

func TestAllowsFollowsTheListOfModels(t *testing.T) {
	const llama = "workers-ai/@cf/meta/llama-3.1-8b-instruct"
	for name, test := range map[string]struct {
		models string
		name   string
		want   bool
	}{
		"no list allows all":              {`null`, llama, true},
		"an empty list allows none":       {`[]`, llama, false},
		"the very name":                   {`["` + llama + `"]`, llama, true},
		"a star runs over slashes":        {`["workers-ai/*"]`, llama, true},
		"a star in the middle":            {`["workers-ai/*llama*8b*"]`, llama, true},
		"a star may stand for nothing":    {`["` + llama + `*"]`, llama, true},
		"one star allows all":             {`["*"]`, llama, true},
		"another provider":                {`["azure-openai/*"]`, llama, false},
		"any of several":                  {`["azure-openai/*","workers-ai/@cf/*"]`, llama, true},
		"the beginning is not enough":     {`["workers-ai/"]`, llama, false},
		"the end is not enough":           {`["*llama"]`, llama, false},
		"letters are told apart by case":  {`["Workers-AI/*"]`, llama, false},
		"a question mark is only itself":  {`["workers-ai/@cf/meta/llama-3?1-8b-instruct"]`, llama, false},
		"a star has to go back and forth": {`["a*b*c"]`, "a/bcb/cc", true},
		"a star that cannot be satisfied": {`["a*b*c"]`, "a/bcb/ccd", false},
		"an empty pattern allows nothing": {`[""]`, llama, false},
		"several stars in a row":          {`["workers-ai/***instruct**"]`, llama, true},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParseAPIKey([]byte(`{"models":` + test.models + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := k.Allows(test.name); got != test.want {
				t.Errorf("Allows is %v, want %v", got, test.want)
			}
		})
	}
}

// FuzzMatch checks match against a regular expression of the same pattern, byte by byte.
func FuzzMatch(f *testing.F) {
	f.Add("workers-ai/*llama*8b*", "workers-ai/@cf/meta/llama-3.1-8b-instruct")
	f.Add("a*b*c", "a/bcb/ccd")
	f.Add("*b", "ab")
	f.Add("***", "")
	f.Add("a?[b]*", "a?[b]\n\xff")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)*len(name) > 100_000 {
			return
		}
		quoted := strings.ReplaceAll(regexp.QuoteMeta(eachByte(pattern)), `\*`, ".*")
		want := regexp.MustCompile(`(?s)\A` + quoted + `\z`).MatchString(eachByte(name))
		if got := match(pattern, name); got != want {
			t.Errorf("match(%q, %q) is %v, want %v", pattern, name, got, want)
		}
	})
}

// eachByte turns each byte of s into one character, so that s need not be valid UTF-8.
func eachByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func TestMetadataHasFourValidEntriesAtMost(t *testing.T) {
	k, err := ParseAPIKey([]byte(`{"metadata":{"user":"forged","team":"core","cf.user_id":"x","nested":{"a":1},"list":[1],"gone":null,"cost":1.50,"vip":true,"z":"4","fifth":"5"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, entry := range k.Metadata {
		got.WriteString(entry.Name + "=" + string(entry.Value) + " ")
	}
	if want := `team="core" cost=1.50 vip=true z="4" `; got.String() != want {
		t.Errorf("metadata %s, want %s", got.String(), want)
	}
}

func FuzzParseAPIKey(f *testing.F) {
	f.Add([]byte(`{"apiKey":"secret","status":"Enabled","models":["a*"],"metadata":{"team":"core"}}`), "secret")
	f.Add([]byte(`{"apiKeyHash":"`+hashed("secret")+`","status":"Enabled","previous":{"apiKeyHash":"`+hashed("old")+`","expiresAt":"2026-02-01T00:00:00Z"}}`), "old")
	f.Fuzz(func(t *testing.T, record []byte, key string) {
		k, err := ParseAPIKey(record)
		if err != nil {
			if k != nil && k.Check(key, now) {
				t.Error("a broken record let a user in")
			}
			return
		}
		k.Allows(key)
		if len(k.Metadata) > 4 {
			t.Error("more than four entries of metadata")
		}
		if k.Check(key, now) && !strings.Contains(strings.ToLower(string(record)), "enabled") && !strings.Contains(string(record), `\u`) {
			t.Error("a user without the status Enabled got in")
		}
	})
}
