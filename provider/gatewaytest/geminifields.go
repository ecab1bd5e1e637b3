package gatewaytest

// This file has the fields of the Gemini API (https://ai.google.dev/api/generate-content) in
// camelCase. Google accepts snake_case too, but the plugin does not send it.

var (
	geminiRequest = fields{
		"contents":          {kind: message, list: true, of: geminiContent},
		"systemInstruction": {kind: message, of: geminiContent},
		"tools":             {kind: message, list: true, of: geminiTool},
		"toolConfig":        {kind: message, of: geminiToolConfig},
		"generationConfig":  {kind: message, of: geminiConfig},
		"safetySettings":    {kind: message, list: true, of: geminiSafety},
		"labels":            {kind: structure},
	}.with(all(text, "cachedContent", "serviceTier"), all(bytes64, "continuationToken"), all(boolean, "store"))

	geminiContent = fields{
		"role":  {kind: text},
		"parts": {kind: message, list: true, of: geminiPart},
	}

	// geminiData are the kinds of data. A part must have exactly one of them.
	geminiData = fields{
		"text":                {kind: text},
		"inlineData":          {kind: message, of: all(text, "displayName", "mimeType").with(all(bytes64, "data"))},
		"fileData":            {kind: message, of: all(text, "displayName", "mimeType", "fileUri")},
		"functionCall":        {kind: message, of: all(text, "id", "name").with(all(structure, "args"))},
		"functionResponse":    {kind: message, of: all(text, "id", "name", "scheduling").with(all(boolean, "willContinue"), all(structure, "response"), fields{"parts": {kind: structure, list: true}})},
		"executableCode":      {kind: message, of: all(text, "id", "language", "code")},
		"codeExecutionResult": {kind: message, of: all(text, "id", "outcome", "output")},
		"toolCall":            {kind: structure},
		"toolResponse":        {kind: structure},
	}

	geminiPart = geminiData.with(
		all(boolean, "thought"), all(bytes64, "thoughtSignature"), all(text, "mediaProcessing"),
		all(structure, "partMetadata", "mediaResolution", "audioTranscription", "speechMetadata"),
		fields{"videoMetadata": {kind: message, of: all(text, "startOffset", "endOffset").with(all(number, "fps"))}},
	)

	geminiTool = fields{
		"functionDeclarations": {kind: message, list: true, of: geminiFunction},
		"mcpServers":           {kind: structure, list: true},
	}.with(all(structure, "googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "computerUse", "fileSearch", "googleMaps"))

	geminiFunction = fields{
		"behavior":             {kind: text, enum: []string{"BLOCKING", "NON_BLOCKING"}},
		"parameters":           {kind: message, of: geminiSchema},
		"response":             {kind: message, of: geminiSchema},
		"parametersJsonSchema": {kind: structure},
		"responseJsonSchema":   {kind: structure},
	}.with(all(text, "name", "description"))

	geminiToolConfig = fields{
		"functionCallingConfig": {kind: message, of: fields{
			"mode":                 {kind: text, enum: []string{"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"}},
			"allowedFunctionNames": {kind: text, list: true},
		}},
		"retrievalConfig": {kind: message, of: fields{
			"latLng":       {kind: message, of: all(number, "latitude", "longitude")},
			"languageCode": {kind: text},
		}},
		"includeServerSideToolInvocations": {kind: boolean},
	}

	geminiConfig = fields{
		"stopSequences":      {kind: text, list: true},
		"responseModalities": {kind: text, list: true},
		"responseSchema":     {kind: message, of: geminiSchema},
		"thinkingConfig": {kind: message, of: fields{
			"includeThoughts": {kind: boolean},
			"thinkingBudget":  {kind: integer},
			"thinkingLevel": {kind: text, enum: []string{
				"THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high",
			}},
		}},
	}.with(
		all(number, "temperature", "topP", "topK", "presencePenalty", "frequencyPenalty"),
		all(integer, "candidateCount", "maxOutputTokens", "seed", "logprobs"),
		all(boolean, "responseLogprobs", "enableEnhancedCivicAnswers"),
		all(text, "responseMimeType", "mediaResolution"),
		all(structure, "speechConfig", "imageConfig", "audioTranscriptionConfig", "responseJsonSchema"),
	)

	geminiSafety = fields{
		"category": {kind: text, enum: []string{
			"HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH", "HARM_CATEGORY_SEXUALLY_EXPLICIT",
			"HARM_CATEGORY_DANGEROUS_CONTENT", "HARM_CATEGORY_CIVIC_INTEGRITY",
		}},
		"threshold": {kind: text, enum: []string{
			"OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE",
		}},
	}

	geminiEmbed = fields{
		"model":              {kind: text},
		"content":            {kind: message, of: geminiContent},
		"embedContentConfig": {kind: structure},
	}.with(all(text, "taskType", "title"), all(integer, "outputDimensionality"))

	// geminiCount are the fields of countTokens: contents, or a whole request.
	geminiCount = fields{
		"contents":               {kind: message, list: true, of: geminiContent},
		"generateContentRequest": {kind: message, of: geminiRequest.with(all(text, "model"))},
	}

	geminiBatchEmbed = fields{"requests": {kind: message, list: true, of: geminiEmbed}}

	geminiSchema = newGeminiSchema()
)

// newGeminiSchema returns the fields of a schema. A schema, which is a part of OpenAPI's, can
// contain schemas.
func newGeminiSchema() fields {
	schema := all(anything, "default", "example").with(
		all(text, "description", "format", "pattern", "title"),
		all(number, "maximum", "minimum"),
		all(integer, "maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"),
		all(boolean, "nullable"),
		fields{
			"type": {kind: text, enum: []string{
				"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL",
				"string", "number", "integer", "boolean", "array", "object", "null",
			}},
			"enum":             {kind: text, list: true},
			"required":         {kind: text, list: true},
			"propertyOrdering": {kind: text, list: true},
		},
	)
	one := field{kind: message, of: schema}
	schema["items"] = one
	schema["anyOf"] = field{kind: message, list: true, of: schema}
	schema["properties"] = field{kind: message, of: fields{"*": one}}
	return schema
}
