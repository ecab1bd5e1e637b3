package cloudflarekv

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/tidwall/gjson"
)

// decodeValues reads the reply to a bulk read. The value of a name that does not exist is nil.
//
// The SDK's own decoder cannot be used: if one value is null, it returns no values at all, and no
// error.
func decodeValues(body []byte) (map[string]*string, error) {
	var reply struct {
		Success bool `json:"success"`
		Result  struct {
			Values map[string]*string `json:"values"`
		} `json:"result"`
	}
	if json.Unmarshal(body, &reply) != nil || !reply.Success || reply.Result.Values == nil {
		return nil, unavailable("the reply to a bulk read makes no sense")
	}
	return reply.Result.Values, nil
}

// decodeEntries reads the reply to a bulk read with metadata. Of all replies that contain
// expirations, it is the only one for many names
// (https://developers.cloudflare.com/api/resources/kv/subresources/namespaces/methods/bulk_get/).
func decodeEntries(body []byte) (map[string]entry, error) {
	var reply struct {
		Success bool `json:"success"`
		Result  struct {
			Values map[string]*struct {
				Value      *string          `json:"value"`
				Metadata   *json.RawMessage `json:"metadata"`
				Expiration float64          `json:"expiration"`
			} `json:"values"`
		} `json:"result"`
	}
	if json.Unmarshal(body, &reply) != nil || !reply.Success || reply.Result.Values == nil {
		return nil, unavailable("the reply to a bulk read makes no sense")
	}
	entries := make(map[string]entry, len(reply.Result.Values))
	for name, e := range reply.Result.Values {
		if e == nil {
			continue
		}
		if e.Value == nil {
			return nil, unavailable("the reply to a bulk read makes no sense")
		}
		entries[name] = entry{*e.Value, e.Metadata, e.Expiration}
	}
	return entries, nil
}

// decodePage reads one page of a listing and the cursor of the next page. The last page has no
// cursor.
func decodePage(body []byte) (names []string, cursor string, err error) {
	var reply struct {
		Success bool `json:"success"`
		Result  []struct {
			Name string `json:"name"`
		} `json:"result"`
		ResultInfo struct {
			Cursor string `json:"cursor"`
		} `json:"result_info"`
	}
	if json.Unmarshal(body, &reply) != nil || !reply.Success || reply.Result == nil {
		return nil, "", unavailable("the reply to a listing makes no sense")
	}
	for _, key := range reply.Result {
		if key.Name == "" {
			return nil, "", unavailable("the reply to a listing makes no sense")
		}
		names = append(names, key.Name)
	}
	return names, reply.ResultInfo.Cursor, nil
}

// decodeResult reads the reply to a bulk write or delete. A successful reply may still name keys
// that were not written. It may also have no result.
func decodeResult(body []byte) error {
	var reply struct {
		Success bool `json:"success"`
		Result  struct {
			Unsuccessful []string `json:"unsuccessful_keys"`
		} `json:"result"`
	}
	if json.Unmarshal(body, &reply) != nil || !reply.Success {
		return unavailable("the reply to a write makes no sense")
	}
	if n := len(reply.Result.Unsuccessful); n > 0 {
		return unavailable(fmt.Sprintf("%d of the names could not be written", n))
	}
	return nil
}

// decodeCodes returns the codes of Cloudflare in the body of a refusal. Such a body may be cut off,
// or not be JSON.
func decodeCodes(body io.Reader) []int64 {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil
	}
	var codes []int64
	for _, code := range gjson.GetBytes(text, "errors.#.code").Array() {
		codes = append(codes, code.Int())
	}
	return codes
}
