package anthropic

import (
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// thinking is the member of that name. Its values are JSON.
type thinking struct {
	there                 bool
	kind, budget, display []byte
}

func readThinking(raw []byte) (t thinking) {
	t.there = !jsontext.IsNone(raw)
	r := jsontext.NewRereader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			t.kind = r.Raw()
		case "budget_tokens":
			t.budget = r.Raw()
		case "display":
			t.display = r.Raw()
		}
	})
	return t
}

// outputConfig is `output_config`. Its values are JSON.
type outputConfig struct{ effort, format []byte }

func readOutputConfig(raw []byte) (c outputConfig) {
	r := jsontext.NewRereader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "effort":
			c.effort = r.Raw()
		case "format":
			c.format = r.Raw()
		}
	})
	return c
}

// wantsThinking reports whether the client asked to see what the model thinks.
func (m *members) wantsThinking() bool {
	return m.thinking.there && !oneOf(m.thinking.kind, "disabled") && !oneOf(m.thinking.display, "omitted")
}

// The largest budgets of thinking, in tokens, that are low and medium effort.
const (
	lowBudget    = 2048
	mediumBudget = 8192
)

// appendEffort appends how hard the model is to think: the effort where the client names one, else what a
// budget of thinking amounts to. Where it says neither, or wants no thinking, the model's default holds: not
// every model takes an effort of none.
func (m *members) appendEffort(b []byte) ([]byte, error) {
	effort := ""
	switch {
	case jsontext.IsNone(m.outputConfig.effort):
	case oneOf(m.outputConfig.effort, "low", "medium", "high", "xhigh", "max"):
		effort = jsontext.StringOf(m.outputConfig.effort)
	default:
		return nil, hub.BadRequest("output_config.effort", "Send `effort` as low, medium, high, xhigh or max.")
	}
	if m.thinking.there {
		switch jsontext.StringOf(m.thinking.kind) {
		case "adaptive", "between_tools":
		case "disabled":
			return b, nil
		case "enabled":
			budget, err := m.thinking.effort()
			if err != nil {
				return nil, err
			}
			if effort == "" {
				effort = budget
			}
		default:
			return nil, hub.BadRequest("thinking.type", "Send the `type` of `thinking` as enabled, adaptive or disabled.")
		}
	}
	if effort == "" {
		return b, nil
	}
	return append(append(append(b, `,"reasoning_effort":"`...), effort...), '"'), nil
}

// effort is what the budget amounts to.
func (t *thinking) effort() (string, error) {
	if !jsontext.IsNumber(t.budget) {
		return "", hub.BadRequest("thinking.budget_tokens", "Send `budget_tokens` as a whole number.")
	}
	r := jsontext.NewRereader(t.budget)
	switch budget := r.Int(); {
	case budget <= lowBudget:
		return "low", nil
	case budget <= mediumBudget:
		return "medium", nil
	}
	return "high", nil
}

// appendResponseFormat appends the form that the answer is to have.
func (m *members) appendResponseFormat(b []byte) ([]byte, error) {
	at, format := "output_config.format", m.outputConfig.format
	if jsontext.IsNone(format) {
		at, format = "output_format", m.outputFormat
	}
	if jsontext.IsNone(format) {
		return b, nil
	}
	var kind, schema []byte
	r := jsontext.NewRereader(format)
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			kind = r.Raw()
		case "schema":
			schema = r.Raw()
		}
	})
	switch {
	case !oneOf(kind, "json_schema"):
		return nil, hub.BadRequest(at+".type", "Send the `type` of the output's format as json_schema.")
	case len(schema) == 0 || schema[0] != '{':
		return nil, hub.BadRequest(at+".schema", "Send `schema` as a JSON schema.")
	}
	b = append(b, `,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":`...)
	return append(append(b, schema...), "}}"...), nil
}
