package googleaistudio

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// version returns the version in a model's name, such as "gemini-2.5-flash", or zero if there is none. Names
// such as "gemini-flash-latest" follow the newest model and count as version 3.
func version(model string) (major, minor int) {
	n, _ := fmt.Sscanf(model, "gemini-%d.%d", &major, &minor)
	if n == 0 && strings.HasPrefix(model, "gemini-") && strings.HasSuffix(model, "-latest") {
		major = 3
	}
	return major, minor
}

// hasLevels reports whether a model is of version 3 or later. These models have levels for thinking and for
// images, and accept functions together with the search.
func hasLevels(model string) bool {
	major, _ := version(model)
	return major >= 3
}

// takesPenalties reports whether a model accepts presence and frequency penalties. Gemini 3 and previews of
// 2.5 refuse them.
func takesPenalties(model string) bool {
	major, minor := version(model)
	preview := major == 2 && minor == 5 && strings.Contains(model, "preview")
	return major < 3 && !preview
}

// thinking is a `thinking_config`. Its values are JSON, or empty if they are missing.
type thinking struct {
	at                     string // its field in the request
	budget, level, include string
}

// writeThinking adds `reasoning_effort` or `thinking_config`. It refuses both together, as Google documents
// for its own OpenAI API (https://ai.google.dev/gemini-api/docs/openai#thinking). Only `include_thoughts` may
// be combined with an effort.
func (f fields) writeThinking(config *object, model string, t thinking) error {
	effort := f["reasoning_effort"]
	if effort.Type != gjson.Null {
		if !efforts[effort.Str] {
			return hub.BadRequest("reasoning_effort", "Send `reasoning_effort` as none, minimal, low, medium, high, xhigh or max.")
		}
		if t.budget != "" || t.level != "" {
			return hub.BadRequest("reasoning_effort", "Send either `reasoning_effort` or `"+t.at+"`: they mean the same.")
		}
		t = t.withEffort(model, effort.Str)
	}
	var o object
	if t.level != "" {
		o.raw("thinkingLevel", t.level)
	}
	if t.budget != "" {
		o.raw("thinkingBudget", t.budget)
	}
	if t.include == "true" {
		o.raw("includeThoughts", t.include)
	}
	if len(o.b) > 0 {
		config.raw("thinkingConfig", string(o.end()))
	}
	return nil
}

// withEffort adds an effort: as a budget of tokens for Gemini 2.5, and as a level from version 3 on. Older
// models do not think.
func (t thinking) withEffort(model, effort string) thinking {
	switch major, minor := version(model); {
	case major > 2:
		t.level = `"` + thinkingLevel(model, major, minor, effort) + `"`
	case major == 2 && minor >= 5:
		t.budget = strconv.Itoa(thinkingBudget(model, effort))
	default:
		return t
	}
	if effort != "none" && t.include == "" {
		t.include = "true"
	}
	return t
}

var efforts = map[string]bool{
	"none": true, "minimal": true, "low": true, "medium": true, "high": true, "xhigh": true, "max": true,
}

// thinkingBudget returns a number of tokens. 2.5 pro cannot turn thinking off.
func thinkingBudget(model, effort string) int {
	pro := strings.Contains(model, "pro")
	switch {
	case pro && (effort == "none" || effort == "minimal"):
		return 128
	case effort == "none":
		return 0
	case effort == "minimal":
		return 512
	case effort == "low":
		return 1024
	case effort == "medium":
		return 8192
	}
	return 24576
}

// thinkingLevel returns the nearest level that the model has. 3 pro has two, and flash has all four.
func thinkingLevel(model string, major, minor int, effort string) string {
	flash := strings.Contains(model, "flash")
	switch effort {
	case "none", "minimal":
		if flash {
			return "MINIMAL"
		}
		return "LOW"
	case "low":
		return "LOW"
	case "medium":
		if flash || major > 3 || minor > 0 {
			return "MEDIUM"
		}
	}
	return "HIGH"
}
