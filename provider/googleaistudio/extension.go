package googleaistudio

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// extension holds the fields that Google's own OpenAI API accepts in addition to OpenAI's
// (https://ai.google.dev/gemini-api/docs/openai#extra-body).
type extension struct {
	thinking thinking
	cached   string // the name of a cached content; empty if there is none
}

// readExtension reads `extra_body.google`. It also reads `google`, because some SDKs put the members of
// `extra_body` at the top of the request. It refuses unknown members.
func (f fields) readExtension() (extension, error) {
	at, google := "google", f["google"]
	err := members("extra_body", f["extra_body"], func(within, name string, value gjson.Result) error {
		switch {
		case name != "google":
			return hub.BadRequest(within, "Send only `google` in `extra_body`: other fields belong beside `extra_body`.")
		case f["google"].Type != gjson.Null:
			return hub.BadRequest("google", "Send `google` once: it is in `extra_body` too.")
		}
		at, google = within, value
		return nil
	})
	if err != nil {
		return extension{}, err
	}
	var e extension
	err = members(at, google, func(at, name string, value gjson.Result) (err error) {
		switch name {
		case "thinking_config":
			e.thinking, err = readThinking(at, value)
		case "cached_content":
			if value.Str == "" {
				return hub.BadRequest(at, "Send `cached_content` as the name of a cached content, \"cachedContents/…\".")
			}
			e.cached = value.Str
		default:
			err = hub.BadRequest(at, "Send only `thinking_config` and `cached_content` in `google`.")
		}
		return err
	})
	return e, err
}

func readThinking(at string, config gjson.Result) (thinking, error) {
	t := thinking{at: at}
	err := members(at, config, func(at, name string, value gjson.Result) error {
		switch name {
		case "thinking_budget":
			budget, ok, err := fields{name: value}.integer(name, -1, math.MaxInt32)
			if err != nil || !ok {
				return hub.BadRequest(at, "Send `thinking_budget` as a whole number of tokens, or -1 to let the model decide.")
			}
			t.budget = strconv.FormatInt(budget, 10)
		case "thinking_level":
			level := strings.ToUpper(value.Str)
			if level != "MINIMAL" && level != "LOW" && level != "MEDIUM" && level != "HIGH" {
				return hub.BadRequest(at, "Send `thinking_level` as minimal, low, medium or high.")
			}
			t.level = `"` + level + `"`
		case "include_thoughts":
			if !value.IsBool() {
				return hub.BadRequest(at, "Send `include_thoughts` as true or false.")
			}
			t.include = value.Raw
		default:
			return hub.BadRequest(at, "Send only `thinking_budget`, `thinking_level` and `include_thoughts` in `thinking_config`.")
		}
		return nil
	})
	if err == nil && t.budget != "" && t.level != "" {
		err = hub.BadRequest(at, "Send either `thinking_budget` or `thinking_level`: Gemini does not accept both.")
	}
	return t, err
}

// members calls visit with each member of an object that is not null. at is the object's field in the
// request. null instead of an object has no members.
func members(at string, object gjson.Result, visit func(at, name string, value gjson.Result) error) error {
	if object.Type == gjson.Null {
		return nil
	}
	if !object.IsObject() {
		return hub.BadRequest(at, "Send `"+at+"` as an object.")
	}
	var err error
	object.ForEach(func(key, value gjson.Result) bool {
		if value.Type != gjson.Null {
			err = visit(at+"."+key.Str, key.Str, value)
		}
		return err == nil
	})
	return err
}

// readSearch reads `web_search_options` and reports whether the model is to search. Gemini's search has no
// options. The size of the context is only a hint and is dropped, but a location is refused.
func (f fields) readSearch() (bool, error) {
	const field = "web_search_options"
	options := f[field]
	err := members(field, options, func(at, name string, value gjson.Result) error {
		if name != "search_context_size" {
			return hub.BadRequest(at, "Leave out `"+at+"`: Gemini's search does not accept it.")
		}
		if size := value.Str; size != "low" && size != "medium" && size != "high" {
			return hub.BadRequest(at, "Send `search_context_size` as low, medium or high.")
		}
		return nil
	})
	return options.Type != gjson.Null, err
}
