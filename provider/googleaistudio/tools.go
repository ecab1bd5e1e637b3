package googleaistudio

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// writeTools adds the functions that the model may call, the tool choice, and the search to the body of a
// request. Only newer models accept functions together with the search
// (https://ai.google.dev/gemini-api/docs/tool-combination).
func writeTools(body *object, f fields, search, combines bool) error {
	declarations, err := declare(f)
	if err != nil || len(declarations) == 0 && !search {
		return err
	}
	if search && len(declarations) > 0 && !combines {
		return hub.BadRequest("web_search_options", "Leave out `web_search_options` or the functions: this model does not take both, those from Gemini 3 on do.")
	}
	body.name("tools")
	body.b = append(body.b, '[')
	if len(declarations) > 0 {
		body.b = append(append(append(body.b, `{"functionDeclarations":[`...), declarations...), "]}"...)
	}
	if search {
		body.b = append(separate(body.b), `{"googleSearch":{}}`...)
	}
	body.b = append(body.b, ']')
	if len(declarations) == 0 {
		return nil
	}
	return writeToolConfig(body, f, search)
}

func writeToolConfig(body *object, f fields, search bool) error {
	calling, err := callingConfig(f)
	if err != nil {
		return err
	}
	var config object
	if calling != nil {
		config.raw("functionCallingConfig", string(calling))
	}
	if search { // Gemini accepts functions together with the search only with this
		config.raw("includeServerSideToolInvocations", "true")
	}
	if len(config.b) > 0 {
		body.raw("toolConfig", string(config.end()))
	}
	return nil
}

// declare returns the functions of `tools`, or of the deprecated `functions`, separated by commas.
func declare(f fields) ([]byte, error) {
	var b []byte
	var err error
	switch tools, functions := f["tools"], f["functions"]; {
	case tools.IsArray() && !isNone(tools):
		b = make([]byte, 0, len(tools.Raw))
		err = each("tools", []byte(tools.Raw), func(at string, r *jsontext.Reader) error {
			tool := gjson.ParseBytes(r.Raw())
			if tool.Get("type").Str != "function" {
				return hub.BadRequest(at+".type", "Send tools of type function: Gemini has none of OpenAI's other types.")
			}
			b, err = appendDeclaration(b, at+".function", tool.Get("function"))
			return err
		})
	case tools.Type != gjson.Null && !tools.IsArray():
		err = hub.BadRequest("tools", "Send `tools` as an array.")
	case functions.IsArray():
		err = each("functions", []byte(functions.Raw), func(at string, r *jsontext.Reader) error {
			b, err = appendDeclaration(b, at, gjson.ParseBytes(r.Raw()))
			return err
		})
	case functions.Type != gjson.Null:
		err = hub.BadRequest("functions", "Send `functions` as an array.")
	}
	return b, err
}

func appendDeclaration(b []byte, at string, function gjson.Result) ([]byte, error) {
	name := function.Get("name").Str
	if name == "" {
		return b, hub.BadRequest(at+".name", "Send the function's `name`.")
	}
	if c := name[0]; c == '-' || c >= '0' && c <= '9' {
		return b, hub.BadRequest(at+".name", "Begin the function's `name` with a letter or an underscore: Gemini accepts no other names.")
	}
	b = separate(b)
	o := objectBehind(b)
	o.string("name", name)
	switch description := function.Get("description"); description.Type {
	case gjson.Null:
	case gjson.String:
		o.string("description", description.Str)
	default:
		return b, hub.BadRequest(at+".description", "Send `description` as a string.")
	}
	switch parameters := function.Get("parameters"); {
	case parameters.Type == gjson.Null:
	case parameters.IsObject():
		if known := schema(parameters); !takesNothing(gjson.Parse(known)) {
			o.raw("parametersJsonSchema", known)
		}
	default:
		return b, hub.BadRequest(at+".parameters", "Send `parameters` as a JSON schema.")
	}
	return append(b, o.end()...), nil
}

// takesNothing reports whether a schema, in Gemini's keywords, is that of an object without properties.
// Gemini wants such a schema left out.
func takesNothing(parameters gjson.Result) bool {
	nothing := true
	parameters.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "title", "description", "required":
		case "type":
			nothing = value.Str == "object"
		case "properties":
			nothing = value.IsObject() && isNone(value)
		case "additionalProperties":
			nothing = !value.IsObject()
		default:
			nothing = false
		}
		return nothing
	})
	return nothing
}

// callingConfig converts `tool_choice`, or the deprecated `function_call`. It returns nil if the client
// leaves the choice to Gemini.
func callingConfig(f fields) ([]byte, error) {
	at, choice := "tool_choice", f["tool_choice"]
	if choice.Type == gjson.Null {
		at, choice = "function_call", f["function_call"]
	}
	var config object
	switch {
	case choice.Type == gjson.Null:
		return nil, nil
	case choice.Str == "auto":
		config.string("mode", "AUTO")
	case choice.Str == "none":
		config.string("mode", "NONE")
	case choice.Str == "required":
		config.string("mode", "ANY")
	case at == "function_call":
		return onlyFunction(at+".name", choice.Get("name"))
	case choice.Get("type").Str == "function":
		return onlyFunction(at+".function.name", choice.Get("function.name"))
	case choice.Get("type").Str == "allowed_tools":
		return allowedTools(choice.Get("allowed_tools"))
	default:
		return nil, hub.BadRequest(at, "Send `tool_choice` as none, auto, required, a function, or allowed_tools.")
	}
	return config.end(), nil
}

func onlyFunction(at string, name gjson.Result) ([]byte, error) {
	if name.Str == "" {
		return nil, hub.BadRequest(at, "Name the function to call.")
	}
	var config object
	config.string("mode", "ANY")
	config.strings("allowedFunctionNames", []string{name.Str})
	return config.end(), nil
}

func allowedTools(allowed gjson.Result) ([]byte, error) {
	const at = "tool_choice.allowed_tools"
	var config object
	switch allowed.Get("mode").Str {
	case "auto":
		config.string("mode", "VALIDATED")
	case "required":
		config.string("mode", "ANY")
	default:
		return nil, hub.BadRequest(at+".mode", "Send the mode of the allowed tools as auto or required.")
	}
	var names []string
	err := each(at+".tools", []byte(allowed.Get("tools").Raw), func(at string, r *jsontext.Reader) error {
		name := gjson.GetBytes(r.Raw(), "function.name").Str
		if name == "" {
			return hub.BadRequest(at, "Send each allowed tool as a function with its name.")
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, hub.BadRequest(at+".tools", "Name at least one allowed tool.")
	}
	config.strings("allowedFunctionNames", names)
	return config.end(), nil
}
