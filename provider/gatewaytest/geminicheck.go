package gatewaytest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxStopSequences is the number of stop words that Gemini accepts.
const maxStopSequences = 5

// checkGemini checks a request whose fields are valid.
func checkGemini(body object, model string) *answer {
	for _, check := range []func(object, string) *answer{
		checkContents, checkFunctionTurns, checkSignatures, checkFunctions, checkGenerationConfig,
	} {
		if refused := check(body, model); refused != nil {
			return refused
		}
	}
	return nil
}

func checkContents(body object, _ string) *answer {
	contents := objects(body, "contents")
	if len(contents) == 0 {
		return invalidArgument("* GenerateContentRequest.contents: contents is not specified\n")
	}
	for i, content := range contents {
		if role := str(content, "role"); role != "user" && role != "model" && role != "" {
			return invalidArgument("Please use a valid role: user, model.")
		}
		if refused := checkParts(content, fmt.Sprintf("contents[%d]", i)); refused != nil {
			return refused
		}
	}
	if system, ok := body["systemInstruction"].(object); ok {
		return checkParts(system, "system_instruction")
	}
	return nil
}

func checkParts(content object, at string) *answer {
	parts := objects(content, "parts")
	if len(parts) == 0 {
		return invalidArgument("* GenerateContentRequest." + at + ".parts: contents.parts must not be empty.\n")
	}
	for i, part := range parts {
		data := 0
		for name := range part {
			if _, ok := geminiData[name]; ok {
				data++
			}
		}
		if data != 1 {
			return invalidArgument(fmt.Sprintf("* GenerateContentRequest.%s.parts[%d].data: required oneof field 'data' must have one initialized field\n", at, i))
		}
		if at == "system_instruction" && part["text"] == nil {
			return invalidArgument("System instruction takes text alone.")
		}
	}
	return nil
}

// partsWith returns the parts of a content that have the given member, such as all function calls.
func partsWith(content object, name string) []object {
	var found []object
	for _, part := range objects(content, "parts") {
		if part[name] != nil {
			found = append(found, part)
		}
	}
	return found
}

// checkFunctionTurns checks that each turn with calls is followed by a turn with their results.
func checkFunctionTurns(body object, _ string) *answer {
	contents := objects(body, "contents")
	for i, content := range contents {
		calls, results := partsWith(content, "functionCall"), partsWith(content, "functionResponse")
		switch {
		case len(calls) > 0 && str(content, "role") != "model", len(results) > 0 && str(content, "role") == "model":
			return invalidArgument("Function calls belong to the model's turns, function responses to the user's.")
		case len(calls) > 0 && (i == 0 || str(contents[i-1], "role") == "model"):
			return invalidArgument("Please ensure that function call turn comes immediately after a user turn or after a function response turn.")
		}
		var asked []object
		if i > 0 {
			asked = partsWith(contents[i-1], "functionCall")
		}
		if len(results) > 0 && len(asked) == 0 {
			return invalidArgument("Please ensure that function response turn comes immediately after a function call turn.")
		}
		if refused := checkResults(asked, results); refused != nil {
			return refused
		}
	}
	return nil
}

func checkResults(calls, results []object) *answer {
	if len(calls) != len(results) {
		return invalidArgument("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
	}
	open := make(map[string]int) // the number of calls without a result, by name
	ids := make(map[string]bool)
	for _, part := range calls {
		call := child(part, "functionCall")
		if str(call, "name") == "" {
			return invalidArgument("* GenerateContentRequest.contents.parts.function_call.name: Name cannot be empty.\n")
		}
		open[str(call, "name")]++
		ids[str(call, "id")] = true
	}
	for _, part := range results {
		result := child(part, "functionResponse")
		name, id := str(result, "name"), str(result, "id")
		if name == "" {
			return invalidArgument("* GenerateContentRequest.contents.parts.function_response.name: Name cannot be empty.\n")
		}
		if open[name]--; open[name] < 0 || id != "" && !ids[id] {
			return invalidArgument("The function response part " + name + " does not belong to any of the function call parts.")
		}
		if result["response"] == nil || hasReference(result["response"]) {
			return invalidArgument("* GenerateContentRequest.contents.parts.function_response.response: must be an object without references.\n")
		}
	}
	return nil
}

// hasReference reports whether a function's result has names that Gemini would read as references.
func hasReference(v any) bool {
	switch v := v.(type) {
	case object:
		for name, value := range v {
			if name == "$ref" || name == "$defs" || hasReference(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasReference)
	}
	return false
}

// dummySignatures are the values that Google documents for calls whose signature is lost
// (https://ai.google.dev/gemini-api/docs/thought-signatures).
var dummySignatures = []string{"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"}

// checkSignatures checks the thought signatures of the current turn, which begins with the user's
// last text. The first call of each step needs a signature.
func checkSignatures(body object, model string) *answer {
	if !strings.HasPrefix(model, "gemini-3") {
		return nil
	}
	contents := objects(body, "contents")
	turn := 0
	for i, content := range contents {
		if str(content, "role") != "model" && len(partsWith(content, "functionResponse")) < len(objects(content, "parts")) {
			turn = i
		}
	}
	for i, content := range contents {
		for j, part := range partsWith(content, "functionCall") {
			call := child(part, "functionCall")
			signature := str(part, "thoughtSignature")
			switch {
			case signature == "" && j == 0 && i >= turn:
				return invalidArgument("Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Function call `default_api:" + str(call, "name") + "`.")
			case signature != "" && !isDummy(signature) && signature != thoughtSignature(str(call, "name"), child(call, "args")):
				return invalidArgument("Corrupted thought signature.")
			}
		}
	}
	return nil
}

// isDummy accepts the dummies in base64 too, because both forms are in use.
func isDummy(signature string) bool {
	decoded, err := base64.StdEncoding.DecodeString(signature)
	return slices.Contains(dummySignatures, signature) || err == nil && slices.Contains(dummySignatures, string(decoded))
}

// thoughtSignature returns the signature of a call. It depends on the call's name and arguments.
func thoughtSignature(name string, args object) string {
	sum := sha256.Sum256(encode([]any{"gatewaytest", name, args}))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$`)

func checkFunctions(body object, _ string) *answer {
	declared := make(map[string]bool)
	for _, t := range objects(body, "tools") {
		for _, function := range objects(t, "functionDeclarations") {
			name := str(function, "name")
			_, schema := function["parameters"].(object)
			switch {
			case !functionName.MatchString(name):
				return invalidArgument("* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name. Must start with a letter or an underscore.\n")
			case declared[name]:
				return invalidArgument("Duplicate function declaration found: " + name)
			case schema && function["parametersJsonSchema"] != nil:
				return invalidArgument("Only one of parameters and parameters_json_schema may be set.")
			case schema && strings.EqualFold(str(child(function, "parameters"), "type"), "object") && len(child(child(function, "parameters"), "properties")) == 0:
				return invalidArgument("* GenerateContentRequest.tools[0].function_declarations[0].parameters.properties: should be non-empty for OBJECT type\n")
			}
			declared[name] = true
		}
	}
	calling := child(child(body, "toolConfig"), "functionCallingConfig")
	if len(calling) > 0 && len(declared) == 0 {
		return invalidArgument("Function calling config is set without function_declarations.")
	}
	allowed := words(calling["allowedFunctionNames"])
	if mode := str(calling, "mode"); len(allowed) > 0 && mode != "ANY" && mode != "VALIDATED" {
		return invalidArgument("Allowed function names should be set only when function calling mode is ANY or VALIDATED.")
	}
	for _, name := range allowed {
		if !declared[name] {
			return invalidArgument("Allowed function name " + name + " is not in " + strings.Join(slices.Sorted(maps.Keys(declared)), ", ") + ".")
		}
	}
	return nil
}

func checkGenerationConfig(body object, model string) *answer {
	config := child(body, "generationConfig")
	thinking := child(config, "thinkingConfig")
	newer := strings.HasPrefix(model, "gemini-3")
	candidates := config["candidateCount"] == nil || integerOf(config, "candidateCount") >= 1 && integerOf(config, "candidateCount") <= 8
	stop := words(config["stopSequences"])
	temperature, _ := config["temperature"].(json.Number)
	degrees, _ := temperature.Float64()
	switch {
	case len(stop) > maxStopSequences:
		return invalidArgument(fmt.Sprintf("The number of stop sequences must be at most %d, but %d were given.", maxStopSequences, len(stop)))
	case slices.Contains(stop, ""):
		return invalidArgument("The stop_sequences must not have an empty one.")
	case !candidates:
		return invalidArgument("The candidate count must be from 1 to 8.")
	case degrees < 0 || degrees > 2:
		return invalidArgument("The temperature must be from 0 to 2.")
	case config["maxOutputTokens"] != nil && integerOf(config, "maxOutputTokens") < 1:
		return invalidArgument("max_output_tokens must be positive.")
	case newer && (config["presencePenalty"] != nil || config["frequencyPenalty"] != nil):
		return invalidArgument("Penalty is not enabled for models/" + model)
	case config["responseSchema"] != nil && config["responseJsonSchema"] != nil:
		return invalidArgument("Only one of response_schema and response_json_schema may be set.")
	case (config["responseSchema"] != nil || config["responseJsonSchema"] != nil) && str(config, "responseMimeType") != "application/json":
		return invalidArgument("A response schema needs the response mime type application/json.")
	case thinking["thinkingBudget"] != nil && thinking["thinkingLevel"] != nil:
		return invalidArgument("You can only set only one of thinking budget and thinking level.")
	case thinking["thinkingLevel"] != nil && !newer:
		return invalidArgument("Thinking level is not supported for this model.")
	}
	return nil
}
