package googleaistudio

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

const messages = `"messages":[` + hi + `],`

func TestToolsAreTranslated(t *testing.T) {
	function := func(rest string) string { return `"tools":[{"type":"function","function":{"name":"f"` + rest + `}}]` }
	for name, test := range map[string]struct{ members, want string }{
		"a function": {
			function(`,"description":"does \"it\"","strict":true,"parameters":{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"]}},"additionalProperties":false,"required":["a"]}`),
			`{"name":"f","description":"does \"it\"","parametersJsonSchema":{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"]}},"additionalProperties":false,"required":["a"]}}`,
		},
		"several functions": {
			`"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]`,
			`{"name":"f"},{"name":"g"}`,
		},
		"a schema loses its $schema, but no property of that name": {
			function(`,"parameters":{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"$schema":{"type":"string"}}}`),
			`{"name":"f","parametersJsonSchema":{"type":"object","properties":{"$schema":{"type":"string"}}}}`,
		},
		"no parameters":                        {function(`,"parameters":null`), `{"name":"f"}`},
		"an empty schema":                      {function(`,"parameters":{}`), `{"name":"f"}`},
		"an object without properties":         {function(`,"parameters":{"$schema":"x","type":"object","properties":{ },"required":[],"additionalProperties":false}`), `{"name":"f"}`},
		"an object with only unknown keywords": {function(`,"parameters":{"type":"object","properties":{},"default":{},"x-order":1}`), `{"name":"f"}`},
		"an object with any properties":        {function(`,"parameters":{"type":"object","additionalProperties":{"type":"string"}}`), `{"name":"f","parametersJsonSchema":{"type":"object","additionalProperties":{"type":"string"}}}`},
		"a schema by reference":                {function(`,"parameters":{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}`), `{"name":"f","parametersJsonSchema":{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}}`},
		"a choice of schemas":                  {function(`,"parameters":{"type":"object","anyOf":[{"required":["a"]}]}`), `{"name":"f","parametersJsonSchema":{"type":"object","anyOf":[{"required":["a"]}]}}`},
		"properties in allOf":                  {function(`,"parameters":{"type":"object","allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]}]}`), `{"name":"f","parametersJsonSchema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}`},
		"no properties in allOf":               {function(`,"parameters":{"type":"object","allOf":[{"properties":{}}]}`), `{"name":"f"}`},
		"no description":                       {function(`,"description":null`), `{"name":"f"}`},
		"the deprecated kind":                  {`"functions":[{"name":"f","parameters":{"type":"object","properties":{"a":{}}}}]`, `{"name":"f","parametersJsonSchema":{"type":"object","properties":{"a":{}}}}`},
		"both kinds":                           {`"tools":[{"type":"function","function":{"name":"f"}}],"functions":[{"name":"g"}]`, `{"name":"f"}`},
		"no tools":                             {`"tools":[]`, ``},
		"tools that are null":                  {`"tools":null,"functions":null`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			body := send(t, "gemini-2.5-flash", messages+test.members)
			want := `[{"functionDeclarations":[` + test.want + `]}]`
			if test.want == "" {
				want = ""
			}
			if got := gjson.GetBytes(body, "tools").Raw; got != want {
				t.Errorf("sends %s, want %s", got, want)
			}
		})
	}
}

func TestSchemasKeepOnlyGeminisKeywords(t *testing.T) {
	for name, test := range map[string]struct{ schema, want string }{
		"only known keywords":                    {`{ "type":"object","properties":{"a":{"enum":["x"],"anyOf":[{"type":"string"}]}},"additionalProperties":false}`, ``},
		"all known keywords":                     {`{"$id":"x","$anchor":"a","type":"object", "format":"f","title":"t","description":"d","enum":[],"items":{},"prefixItems":[{}],"minItems":1,"maxItems":2,"minimum":1.50,"maximum":2,"anyOf":[{}],"oneOf":[true],"properties":{"default":{}},"additionalProperties":{},"required":["a"],"propertyOrdering":["a"],"$defs":{"pattern":{}}}`, ``},
		"unknown keywords":                       {`{"type":"object","properties":{"a":{"type":"string","pattern":"^x","default":"y","minLength":1},"b":{"type":"array","items":{"multipleOf":2},"uniqueItems":true}},"$defs":{"c":{"examples":[1]}},"additionalProperties":{"exclusiveMinimum":0},"x-mine":1}`, `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"array","items":{}}},"$defs":{"c":{}},"additionalProperties":{}}`},
		"properties named like unknown keywords": {`{"properties":{"pattern":{"type":"string"},"default":{"allOf":[]}},"$defs":{"not":{"type":"string"}}}`, `{"properties":{"pattern":{"type":"string"},"default":{}},"$defs":{"not":{"type":"string"}}}`},
		"a keyword with an escape":               {`{"p\u0061ttern":"x","typ\u0065":"string"}`, `{"type":"string"}`},
		"$schema in all places":                  {`{"$schema":"x","properties":{"$schema":{"$schema":"x","type":"string"}},"items":[{"$schema":"x"},true]}`, `{"properties":{"$schema":{"type":"string"}},"items":[{},true]}`},
		"a keyword's name in a value":            {`{"properties":{"a":{"enum":["$ref","nullable"],"title":{"$schema":"x","const":1}},"b":{"default":1}}}`, `{"properties":{"a":{"enum":["$ref","nullable"],"title":{"$schema":"x","const":1}},"b":{}}}`},
		"properties named like known keywords":   {`{"properties":{"nullable":{"type":"boolean"},"const":{"type":"string"},"$ref":{"type":"string"},"definitions":{"type":"object"}}}`, `{"properties":{"nullable":{"type":"boolean"},"const":{"type":"string"},"$ref":{"type":"string"},"definitions":{"type":"object"}}}`},
		"words beside a reference":               {`{"properties":{"a":{"$ref":"#/$defs/a","description":"x","default":null}},"$defs":{"a":{"type":"string"}}}`, `{"properties":{"a":{"description":"x","type":"string"}},"$defs":{"a":{"type":"string"}}}`},
		"a reference for all of it":              {`{"type":"object","$ref":"#/definitions/a","definitions":{"a":{"const":"x"}},"$schema":"x"}`, `{"type":"object","$defs":{"a":{"enum":["x"]}},"enum":["x"]}`},
		"definitions of older drafts":            {`{"items":{"$ref":"#/definitions/a/definitions/b"},"definitions":{"a":{"definitions":{"b":{}}}}}`, `{"items":{"$ref":"#/$defs/a/$defs/b"},"$defs":{"a":{"$defs":{"b":{}}}}}`},
		"nullable beside enum":                   {`{"type":"string","nullable":true,"enum":["a"]}`, `{"type":["string","null"],"enum":["a",null]}`},
		"nullable beside anyOf":                  {`{"nullable":true,"anyOf":[ {"const":"a"} ]}`, `{"anyOf":[{"enum":["a"]},{"type":"null"}]}`},
		"definitions of both kinds":              {`{"definitions":{"a":{"const":"x"}},"$defs":{"b":{}},"anyOf":[{"$ref":"#/definitions/a"},{"$ref":"#/$defs/b"}]}`, `{"$defs":{"b":{},"a":{"enum":["x"]}},"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]}`},
		"nullable":                               {`{"properties":{"a":{"nullable":true,"type":"string"},"b":{"type":"string","nullable":false},"c":{"type":["string","null"],"nullable":true}}}`, `{"properties":{"a":{"type":["string","null"]},"b":{"type":"string"},"c":{"type":["string","null"]}}}`},
		"constants":                              {`{"oneOf":[{"const":"a"},{"const":1.50},{"const":"a","enum":["a","b"]},{"type":"string","const":"a"}]}`, `{"oneOf":[{"enum":["a"]},{"enum":[1.50]},{"enum":["a"]},{"type":"string","enum":["a"]}]}`},
		"constants that no enum can hold":        {`{"oneOf":[{"const":true},{"type":"boolean","const":false},{"const":null},{"const":true,"nullable":true},{"const":{"a":1}},{"const":[1],"enum":[[1],[2]]}]}`, `{"oneOf":[{"type":"boolean"},{"type":"boolean"},{"type":"null"},{"type":["boolean","null"]},{},{"enum":[[1],[2]]}]}`},
		"schemas within every keyword":           {`{"items":{"const":"a"},"prefixItems":[{"const":"b"}],"anyOf":[{"const":"c"}],"oneOf":[{"const":"d"}],"additionalProperties":{"const":"e"},"properties":{"f":{"const":"f"}},"$defs":{"g":{"const":"g"}}}`, `{"items":{"enum":["a"]},"prefixItems":[{"enum":["b"]}],"anyOf":[{"enum":["c"]}],"oneOf":[{"enum":["d"]}],"additionalProperties":{"enum":["e"]},"properties":{"f":{"enum":["f"]}},"$defs":{"g":{"enum":["g"]}}}`},
		"keywords that are misused":              {`{"properties":[1],"anyOf":"$ref","const":{},"nullable":"x","items":null,"$defs":1}`, `{"properties":[1],"anyOf":"$ref","items":null,"$defs":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if test.want == "" {
				test.want = test.schema
			}
			if got := schema(gjson.Parse(test.schema)); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestADeeplyNestedSchemaTakesLittleTime(t *testing.T) {
	deep := strings.Repeat(`{"items":`, 900) + `{"const":"x"}` + strings.Repeat("}", 900)
	if got := schema(gjson.Parse(deep)); got != deep {
		t.Errorf("%s", got)
	}
}

// Each schema must be written once, however often a keyword occurs, and be read at most once per level.
// Otherwise a small request could take very long.
func TestASchemaIsSentOnce(t *testing.T) {
	const some = `"a":{"const":"x"}`
	for name, test := range map[string]struct {
		member string
		times  int
	}{
		"definitions of both kinds":         {`"$defs":{` + some + `},"definitions":{` + some + `}`, 1 << 10},
		"definitions of older drafts":       {`"definitions":{` + some + `}`, 1 << 10},
		"definitions that occur very often": {`"definitions":1`, 1 << 19},
		"references that occur very often":  {`"$ref":""`, 1 << 19},
		"nullable that occurs very often":   {`"nullable":true`, 1 << 19},
		"choices that may be null":          {`"nullable":true,"anyOf":[{` + some + `}]`, 1 << 10},
		"choices that all apply":            {`"allOf":[{"anyOf":[{` + some + `},{"b":1}]},{"anyOf":[{` + some + `},{"c":1}]}]`, 1 << 10},
		"properties that all apply":         {`"allOf":[{"properties":{` + some + `}}]`, 1 << 10},
		"a reference beside a type":         {`"properties":{"x":{"$ref":"#/$defs/b","type":"string"}}`, 1 << 10},
		"a constant beside an enum of many": {`"const":"a","enum":["a"]`, 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			sent := "{" + strings.Repeat(test.member+",", test.times) + `"$defs":{"b":{}},"type":"string"}`
			if got := schema(gjson.Parse(sent)); len(got) > 2*len(sent) || !gjson.Valid(got) {
				t.Errorf("%d bytes for %d", len(got), len(sent))
			}
		})
	}
}

func FuzzSchema(f *testing.F) {
	f.Add([]byte(`{"$ref":"#/definitions/a","definitions":{"a":{"items":[{"nullable":true,"type":"string"}],"anyOf":[true]}}}`))
	f.Add([]byte(`{"allOf":[{"$ref":"#/$defs/a"},{"type":["number","null"],"minimum":1,"enum":[1,2]}],"description":"d","$defs":{"a":{"description":"e","properties":{"b":{"$ref":"#/$defs/a","title":"t"}},"anyOf":[{},true]}}}`))
	f.Add([]byte(`{"anyOf":[{"type":"object"},{}],"allOf":[{"anyOf":[{"required":["a"]},{"required":["b"]}]}],"then":{"properties":{"c":{}}},"dependentSchemas":{"c":{"properties":{"d":{}}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !jsontext.ValidObject(text) {
			return
		}
		once := schema(gjson.ParseBytes(text))
		if !jsontext.ValidObject([]byte(once)) || len(once) > 6*(len(text)+spareSchema) {
			t.Fatalf("%s became %s", text, once)
		}
	})
}

func TestTheToolChoiceIsTranslated(t *testing.T) {
	const tools = messages + `"tools":[{"type":"function","function":{"name":"f"}}],`
	const functions = messages + `"functions":[{"name":"f"}],`
	for name, test := range map[string]struct{ members, want string }{
		"auto":                              {tools + `"tool_choice":"auto"`, `{"mode":"AUTO"}`},
		"null":                              {tools + `"tool_choice":null`, ``},
		"none":                              {tools + `"tool_choice":"none"`, `{"mode":"NONE"}`},
		"required":                          {tools + `"tool_choice":"required"`, `{"mode":"ANY"}`},
		"a function":                        {tools + `"tool_choice":{"type":"function","function":{"name":"f"}}`, `{"mode":"ANY","allowedFunctionNames":["f"]}`},
		"one of several":                    {tools + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]}}`, `{"mode":"ANY","allowedFunctionNames":["f","g"]}`},
		"at most one of several":            {tools + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}`, `{"mode":"VALIDATED","allowedFunctionNames":["f"]}`},
		"the deprecated auto":               {functions + `"function_call":"auto"`, `{"mode":"AUTO"}`},
		"the deprecated none":               {functions + `"function_call":"none"`, `{"mode":"NONE"}`},
		"a deprecated choice of a function": {functions + `"function_call":{"name":"f"}`, `{"mode":"ANY","allowedFunctionNames":["f"]}`},
		"without tools":                     {messages + `"tool_choice":"required"`, ``},
		"an invalid choice without tools":   {messages + `"tool_choice":7`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			body := send(t, "gemini-2.5-flash", test.members)
			if got := gjson.GetBytes(body, "toolConfig.functionCallingConfig").Raw; got != test.want {
				t.Errorf("sends %s, want %s", got, test.want)
			}
			if test.want == "" && gjson.GetBytes(body, "toolConfig").Exists() {
				t.Errorf("sends an empty toolConfig in %s", body)
			}
		})
	}
}

func TestInvalidToolsAreRefused(t *testing.T) {
	const tools = `"tools":[{"type":"function","function":{"name":"f"}}],`
	for name, test := range map[string]struct{ members, param string }{
		"an object for tools":                  {`"tools":{}`, "tools"},
		"a string for a tool":                  {`"tools":["f"]`, "tools[0].type"},
		"a tool of another type":               {tools[:len(tools)-2] + `,{"type":"custom","custom":{"name":"g"}}]`, "tools[1].type"},
		"no name":                              {`"tools":[{"type":"function","function":{}}]`, "tools[0].function.name"},
		"a number for a name":                  {`"tools":[{"type":"function","function":{"name":1}}]`, "tools[0].function.name"},
		"a name that begins with a digit":      {tools[:len(tools)-2] + `,{"type":"function","function":{"name":"2f"}}]`, "tools[1].function.name"},
		"a name that begins with a dash":       {`"tools":[{"type":"function","function":{"name":"-f"}}]`, "tools[0].function.name"},
		"an old name with a digit first":       {`"functions":[{"name":"f"},{"name":"9"}]`, "functions[1].name"},
		"a number for a description":           {`"tools":[{"type":"function","function":{"name":"f","description":1}}]`, "tools[0].function.description"},
		"a string for parameters":              {`"tools":[{"type":"function","function":{"name":"f","parameters":"a"}}]`, "tools[0].function.parameters"},
		"a number for deprecated functions":    {`"functions":1`, "functions"},
		"a deprecated function without a name": {`"functions":[{}]`, "functions[0].name"},
		"an unknown choice":                    {tools + `"tool_choice":"any"`, "tool_choice"},
		"a number for a choice":                {tools + `"tool_choice":1`, "tool_choice"},
		"a choice of another type":             {tools + `"tool_choice":{"type":"custom","custom":{"name":"f"}}`, "tool_choice"},
		"a choice without a name":              {tools + `"tool_choice":{"type":"function"}`, "tool_choice.function.name"},
		"allowed tools of an unknown mode":     {tools + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"tools":[]}}`, "tool_choice.allowed_tools.mode"},
		"no allowed tools":                     {tools + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}`, "tool_choice.allowed_tools.tools"},
		"an allowed tool without a name":       {tools + `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"mcp"}]}}`, "tool_choice.allowed_tools.tools[0]"},
		"a deprecated call without a name":     {`"functions":[{"name":"f"}],"function_call":{}`, "function_call.name"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, hub.Chat, messages+test.members, test.param) })
	}
}
