package caddyauth

import (
	"net/http"
	"net/url"
	"testing"
)

func TestSecretsOfTheSettingsAreRemoved(t *testing.T) {
	carried := &handoff{
		authorization: []string{"Bearer gwtoken"},
		header:        http.Header{"Api-Key": {"sk-test"}, "Authorization": {"Bearer azure"}, "Anthropic-Version": {"2023-06-01"}, "Accept": {"application/json"}, "X-Flag": {"yes"}},
		query:         url.Values{"key": {"google"}, "api-version": {"2024-10-21"}, "alt": {"json"}},
	}
	for name, test := range map[string]struct{ said, redacted, masked string }{
		"the gateway's token":                {"gwtoken?", "[redacted]?", "*******?"},
		"a key in a header":                  {"sk-test?", "[redacted]?", "*******?"},
		"a key after its scheme":             {"azure?", "[redacted]?", "*****?"},
		"a key in the query":                 {"google?", "[redacted]?", "******?"},
		"versions and media types":           {"2023-06-01 2024-10-21 application/json", "2023-06-01 2024-10-21 application/json", "2023-06-01 2024-10-21 application/json"},
		"texts that are too short for a key": {"yes", "yes", "yes"},
	} {
		if got := carried.redact(test.said); got != test.redacted {
			t.Errorf("%s: redacted %q, want %q", name, got, test.redacted)
		}
		if got := string(carried.mask([]byte(test.said))); got != test.masked {
			t.Errorf("%s: masked %q, want %q", name, got, test.masked)
		}
	}
}
