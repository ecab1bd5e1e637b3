package googleaistudio

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Gemini does not know `allOf` or conditions, and accepts nothing beside a reference.
func TestSchemasThatAllApplyAreMerged(t *testing.T) {
	const defs = `"$defs":{"a":{"type":"object","description":"of a","properties":{"x":{"type":"string"}},"required":["x"]},"b":{"enum":["p","q"]}}`
	for name, test := range map[string]struct{ schema, want string }{
		"properties and what is required":   {`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"allOf":[{"properties":{"b":{"type":"integer"}},"required":["b","a"]},{"properties":{"c":{}}}]}`, `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{}},"required":["a","b"]}`},
		"allOf before the rest":             {`{"allOf":[{"description":"of a member"}],"description":"own","title":"t"}`, `{"description":"own\nof a member","title":"t"}`},
		"the same description twice":        {`{"description":"d","allOf":[{"description":"d"},{"description":""}]}`, `{"description":"d"}`},
		"allOf within allOf":                {`{"allOf":[{"allOf":[{"properties":{"a":{}}},{"allOf":[{"required":["a"]}]}]},{"properties":{"b":{}}}]}`, `{"properties":{"a":{},"b":{}},"required":["a"]}`},
		"a property of two schemas":         {`{"allOf":[{"properties":{"a":{"type":"string","description":"x"}}},{"properties":{"a":{"enum":["p"],"description":"y"}}}]}`, `{"properties":{"a":{"type":"string","description":"x\ny","enum":["p"]}}}`},
		"a property of two schemas, deep":   {`{"allOf":[{"properties":{"a":{"items":{"properties":{"b":{"type":"string"}}}}}},{"properties":{"a":{"items":{"properties":{"c":{"const":1}}}}}}]}`, `{"properties":{"a":{"items":{"properties":{"b":{"type":"string"},"c":{"enum":[1]}}}}}}`},
		"in a property":                     {`{"properties":{"a":{"allOf":[{"type":"string"}],"default":"x"}}}`, `{"properties":{"a":{"type":"string"}}}`},
		"types":                             {`{"type":["string","number","null"],"allOf":[{"type":["integer","null"]}]}`, `{"type":["integer","null"]}`},
		"one type is left":                  {`{"type":"integer","allOf":[{"type":["number","string"]},{"type":"integer"}]}`, `{"type":"integer"}`},
		"types that contradict each other":  {`{"type":"integer","allOf":[{"type":"string"}]}`, `{"type":"integer"}`},
		"values":                            {`{"enum":["a","b","c"],"allOf":[{"enum":["c","b"]}]}`, `{"enum":["b","c"]}`},
		"values that contradict each other": {`{"enum":["a","b"],"allOf":[{"enum":["c"]}]}`, `{"enum":["c"]}`},
		"the narrower limits":               {`{"minimum":1,"maximum":9,"minItems":1,"maxItems":4,"allOf":[{"minimum":2,"maximum":10,"minItems":0,"maxItems":3}]}`, `{"minimum":2,"maximum":9,"minItems":1,"maxItems":3}`},
		"additional properties":             {`{"additionalProperties":true,"allOf":[{"additionalProperties":{"type":"string"}},{"additionalProperties":{"type":"string"}}]}`, `{"additionalProperties":{"type":"string"}}`},
		"no additional properties":          {`{"additionalProperties":{},"allOf":[{"additionalProperties":false}]}`, `{"additionalProperties":false}`},
		"any additional properties":         {`{"additionalProperties":true,"allOf":[{"additionalProperties":true}]}`, `{"additionalProperties":true}`},
		"a choice":                          {`{"type":"object","allOf":[{"anyOf":[{"required":["a"]},{"required":["b"]}]}]}`, `{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}]}`},
		"two choices":                       {`{"anyOf":[{"required":["a"]},{"title":"t"}],"allOf":[{"anyOf":[{"required":["b"]},{"const":1}]}]}`, `{"anyOf":[{"required":["a","b"]},{"required":["a"],"enum":[1]},{"title":"t","required":["b"]},{"title":"t","enum":[1]}]}`},
		"nullable, as in OpenAPI":           {`{"allOf":[{"$ref":"#/$defs/b"},{"type":"string"}],"nullable":true,` + defs + `}`, `{` + strings.Replace(`D,"enum":["p","q",null],"type":["string","null"]}`, "D", defs, 1)},
		"one reference":                     {`{"allOf":[{"$ref":"#/$defs/a"}],` + defs + `}`, `{` + defs + `,"type":"object","description":"of a","properties":{"x":{"type":"string"}},"required":["x"]}`},
		"a reference and words":             {`{"properties":{"k":{"allOf":[{"$ref":"#/$defs/b"}],"description":"which"}},` + defs + `}`, `{"properties":{"k":{"description":"which","enum":["p","q"]}},` + defs + `}`},
		"a reference and properties":        {`{"properties":{"y":{}},"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],` + defs + `}`, `{"properties":{"y":{},"x":{"type":"string"}},` + defs + `,"type":"object","description":"of a","required":["x"]}`},
		"a reference of older drafts":       {`{"allOf":[{"$ref":"#/definitions/a~1b"}],"title":"t","definitions":{"a/b":{"const":1}}}`, `{"title":"t","$defs":{"a/b":{"enum":[1]}},"enum":[1]}`},
		"a reference to itself":             {`{"properties":{"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"properties":{"next":{"allOf":[{"$ref":"#/$defs/n"}],"description":"d"}}}}}`, `{"properties":{"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"properties":{"next":{"description":"d","properties":{"next":{"$ref":"#/$defs/n"}}}}}}}`},
		"a reference to nothing but itself": {`{"allOf":[{"$ref":"#/$defs/n"}],"$defs":{"n":{"allOf":[{"$ref":"#/$defs/n"}]}}}`, `{"$defs":{"n":{"$ref":"#/$defs/n"}}}`},
		"a reference to elsewhere":          {`{"properties":{"a":{"$ref":"https://example.com/s","description":"d"},"b":{"allOf":[{"$ref":"#/properties/a"}]}}}`, `{"properties":{"a":{"$ref":"https://example.com/s"},"b":{"$ref":"#/properties/a"}}}`},
		"elsewhere, beside properties":      {`{"properties":{"a":{}},"allOf":[{"$ref":"https://example.com/s"}]}`, `{"properties":{"a":{}}}`},
		"properties under a condition":      {`{"properties":{"k":{"enum":["a","b"]}},"if":{"properties":{"k":{"const":"a"}}},"then":{"properties":{"x":{"const":1},"k":{"title":"no"}},"required":["x"]},"else":{"properties":{"y":{}}},"dependentSchemas":{"k":{"properties":{"z":{}}}}}`, `{"properties":{"k":{"enum":["a","b"]},"x":{"enum":[1]},"y":{},"z":{}}}`},
		"a condition in allOf":              {`{"type":"object","allOf":[{"if":{},"then":{"properties":{"x":{}}}}]}`, `{"type":"object","properties":{"x":{}}}`},
		"what Gemini does not know":         {`{"allOf":[{"not":{"const":"x"},"pattern":"^a","minLength":1,"patternProperties":{"a":{}},"exclusiveMinimum":0}],"type":"string"}`, `{"type":"string"}`},
		"misused":                           {`{"allOf":[true,1,[],null,{"type":"string"}],"properties":{"allOf":{"type":"string"},"b":{"allOf":{}},"c":{"allOf":"x"}}}`, `{"properties":{"allOf":{"type":"string"},"b":{},"c":{}},"type":"string"}`},
		"definitions of members":            {`{"allOf":[{"$defs":{"a":{"title":"1"}}},{"$defs":{"a":{"title":"2"},"b":{}}}]}`, `{"$defs":{"a":{"title":"1"},"b":{}}}`},
		"the order of properties":           {`{"propertyOrdering":["a"],"allOf":[{"propertyOrdering":["b","a"]}]}`, `{"propertyOrdering":["a","b"]}`},
		"nullable and a reference":          {`{"properties":{"a":{"$ref":"#/$defs/b","nullable":true}},` + defs + `}`, `{"properties":{"a":{"enum":["p","q",null]}},` + defs + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := schema(gjson.Parse(test.schema))
			if got != test.want {
				t.Errorf("%s\nbecame\n%s, want\n%s", test.schema, got, test.want)
			}
			if again := schema(gjson.Parse(got)); again != got && !strings.Contains(got, "$ref") {
				t.Errorf("%s became %s", got, again)
			}
		})
	}
}

// Each of these definitions contains the next one twice.
func TestReferencesThatGrowExponentiallyAreNotExpanded(t *testing.T) {
	var b strings.Builder
	for c := 'a'; c < 'z'; c++ {
		next := `{"$ref":"#/$defs/` + string(c+1) + `","description":"d"}`
		b.WriteString(`"` + string(c) + `":{"properties":{"l":` + next + `,"r":` + next + `}},`)
	}
	sent := `{"$ref":"#/$defs/a","title":"t","$defs":{` + b.String() + `"z":{}}}`
	got := schema(gjson.Parse(sent))
	if len(got) > 6*(len(sent)+spareSchema) || !gjson.Valid(got) || !strings.Contains(got, `"$ref":"#/$defs/`) {
		t.Errorf("%d bytes for %d: %.200s", len(got), len(sent), got)
	}
}

// Each element must be compared once, not with every other element.
func TestLongListsInAllOfTakeLittleTime(t *testing.T) {
	const times = 1 << 16
	for name, member := range map[string]string{
		"properties":  `{"properties":{"a":{"title":"N"}}}`,
		"values":      `{"enum":["N"]}`,
		"required":    `{"required":["N"]}`,
		"words":       `{"description":"N"}`,
		"references":  `{"$ref":"#/$defs/N"}`,
		"choices":     `{"anyOf":[{"title":"N"},{}]}`,
		"conditions":  `{"then":{"properties":{"N":{}}}}`,
		"definitions": `{"$defs":{"N":{}}}`,
	} {
		var b strings.Builder
		for i := range times {
			b.WriteString(strings.Replace(member, "N", strings.Repeat("n", i%7)+string(rune('a'+i%26))+string(rune(0x4e00+i%20000)), 1) + ",")
		}
		if got := schema(gjson.Parse(`{"allOf":[` + b.String() + `{}]}`)); !gjson.Valid(got) {
			t.Errorf("%s: %.200s", name, got)
		}
	}
}
