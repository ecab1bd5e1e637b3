package cloudflarekv

import "encoding/json"

// decodeValues reads the reply to a bulk read. A value is nil if there is no such name.
//
// The SDK's own decoder cannot: one null among the values, and it returns none of them, and no
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

// decodePage reads a page of a listing and the cursor of the next; the last page has none.
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
