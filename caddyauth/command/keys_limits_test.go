package command

import (
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestTheFlagLimitChangesOnlyWhatItNames(t *testing.T) {
	const before = `{"apiKey":"a","status":"Enabled","limits":{"requests":["5/1h"],"parallel":2}}`
	for flags, want := range map[string]string{
		"":                               "requests=5/1h, parallel=2",
		"requests=120/60s":               "requests=120/1m, parallel=2",
		"requests=120/1m requests=9/day": "requests=120/1m, requests=9/day, parallel=2",
		"tokens=2000000/month":           "requests=5/1h, tokens=2000000/month, parallel=2",
		"requests=none tokens=none":      "requests=none, tokens=none, parallel=2",
		"requests=none requests=7/1m":    "requests=7/1m, parallel=2",
		"requests=default":               "parallel=2",
		"parallel=8":                     "requests=5/1h, parallel=8",
		"parallel=none":                  "requests=5/1h, parallel=none",
		"parallel=0":                     "requests=5/1h, parallel=none",
		"parallel=default":               "requests=5/1h",
		"parallel=default requests=default tokens=default": "",
	} {
		t.Run(flags, func(t *testing.T) {
			record, err := keystore.ParseRecord([]byte(before))
			if err != nil {
				t.Fatal(err)
			}
			if err := setLimits(record, strings.Fields(flags)); err != nil {
				t.Fatal(err)
			}
			if got := describeLimits(record.Info().Limits); got != want {
				t.Errorf("%q, want %q: %s", got, want, record.Bytes())
			}
		})
	}
}

func TestAWrongFlagLimitSaysWhatIsWrong(t *testing.T) {
	for flag, want := range map[string]string{
		"120/1m":          `--limit "120/1m": must be requests=120/1m, tokens=2000000/day or parallel=8`,
		"dollars=5/day":   `must begin with requests=, tokens= or parallel=`,
		"requests=120":    `must be a number and a window, such as 120/1m`,
		"requests=0/1m":   `the number must be a whole number larger than 0`,
		"tokens=5/week":   `the window must be a duration from 1s to 24h, day or month`,
		"parallel=-1":     `must be a whole number, or none`,
		"parallel=8/1m":   `must be a whole number, or none`,
		"requests=5/1m,6": `the window must be a duration from 1s to 24h, day or month`,
	} {
		err := setLimits(keystore.NewRecord("a", time.Now()), []string{flag})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
}
