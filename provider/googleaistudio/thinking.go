package googleaistudio

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// version is the version in a model's name, "gemini-2.5-flash", zero where there is none. Names
// such as "gemini-flash-latest" follow the newest model, from 3 on.
func version(model string) (major, minor int) {
	n, _ := fmt.Sscanf(model, "gemini-%d.%d", &major, &minor)
	if n == 0 && strings.HasPrefix(model, "gemini-") && strings.HasSuffix(model, "-latest") {
		major = 3
	}
	return major, minor
}

// takesPenalties reports whether a model knows presence and frequency penalties: Gemini 3 and
// previews of 2.5 refuse them.
func takesPenalties(model string) bool {
	major, minor := version(model)
	preview := major == 2 && minor == 5 && strings.Contains(model, "preview")
	return major < 3 && !preview
}

// writeThinking adds `reasoning_effort`: as a budget of tokens for Gemini 2.5, as a level from
// 3 on. Older models do not think.
func (f fields) writeThinking(config *object, model string) error {
	effort := f["reasoning_effort"]
	if effort.Type == gjson.Null {
		return nil
	}
	var thinking object
	switch major, minor := version(model); {
	case !efforts[effort.Str]:
		return openai.BadRequest("reasoning_effort", "Send `reasoning_effort` as none, minimal, low, medium, high, xhigh or max.")
	case major > 2:
		thinking.string("thinkingLevel", thinkingLevel(model, major, minor, effort.Str))
	case major == 2 && minor >= 5:
		thinking.raw("thinkingBudget", strconv.Itoa(thinkingBudget(model, effort.Str)))
	default:
		return nil
	}
	if effort.Str != "none" {
		thinking.raw("includeThoughts", "true")
	}
	config.raw("thinkingConfig", string(thinking.end()))
	return nil
}

var efforts = map[string]bool{
	"none": true, "minimal": true, "low": true, "medium": true, "high": true, "xhigh": true, "max": true,
}

// thinkingBudget is in tokens. 2.5 pro cannot do without thinking.
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

// thinkingLevel is the nearest level that the model has: 3 pro knows two, flash all four.
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
