package gatewaytest

// This file has the fields of Anthropic's Messages, as of anthropic-sdk-go 2.15. A test compares
// them with the SDK's types.

// anthropicFields are the fields of a request to /v1/messages.
var anthropicFields = anthropicCountFields.with(
	all(text, "inference_geo", "service_tier"),
	all(number, "temperature", "top_p"),
	all(integer, "max_tokens", "top_k"),
	all(boolean, "stream"),
	all(anything, "container"), // an id or an object
	lists(text, "stop_sequences"),
	fields{
		"diagnostics": {kind: message, of: all(text, "previous_message_id")},
		"metadata":    {kind: message, of: all(text, "user_id")},
	},
).need("max_tokens")

// anthropicCountFields are the fields of a request to /v1/messages/count_tokens.
var anthropicCountFields = all(text, "model", "speed").with(
	cacheControl,
	fields{
		"messages":      {kind: variant, list: true, by: "role", forms: anthropicMessages},
		"system":        {kind: variant, list: true, orText: true, by: "type", tagged: true, forms: anthropicText},
		"tools":         {kind: variant, list: true, by: "type", tagged: true, otherwise: "custom", forms: anthropicTools},
		"tool_choice":   {kind: variant, by: "type", tagged: true, forms: anthropicToolChoices},
		"thinking":      {kind: variant, by: "type", tagged: true, forms: anthropicThinking},
		"output_config": anthropicOutput,
	},
).need("model", "messages")

// anthropicBetaFields are fields that a request may have only with the header anthropic-beta.
var anthropicBetaFields = anthropicBetaCountFields.with(all(anything, "fallbacks", "fallback_credit_token"), fields{
	"thread": {kind: message, of: all(text, "type", "previous_message_id").need("type")},
})

// anthropicBetaCountFields are the beta fields of count_tokens.
var anthropicBetaCountFields = fields{
	"billing_policy": {kind: message, of: all(text, "bill_to", "type")},
	"compaction":     {kind: message, of: all(text, "instructions", "type")},
	"context_management": {kind: message, of: fields{
		"edits": {kind: variant, list: true, by: "type", tagged: true, forms: anthropicEdits},
	}},
	"mcp_servers": {kind: message, list: true, of: all(text, "authorization_token", "name", "type", "url").
		with(fields{"tool_configuration": {kind: message, of: all(boolean, "enabled").with(lists(text, "allowed_tools"))}}).need("name", "url", "type")},
	"output_format": {kind: message, of: all(text, "type").with(all(structure, "schema")).need("schema", "type")},
}

var (
	cacheControl   = fields{"cache_control": {kind: message, of: fields{"type": {kind: text, enum: []string{"ephemeral"}, required: true}, "ttl": {kind: text, enum: []string{"5m", "1h"}}}}}
	caller         = all(structure, "caller")
	citesOrNot     = fields{"citations": {kind: message, of: all(boolean, "enabled")}}
	anthropicOut   = all(text, "type").with(all(structure, "schema")).need("schema", "type")
	anthropicInput = all(structure, "input")

	anthropicOutput = field{kind: message, of: fields{
		"effort":      {kind: text, enum: []string{"low", "medium", "high", "xhigh", "max"}},
		"format":      {kind: message, of: anthropicOut},
		"task_budget": {kind: message, of: all(text, "type").with(all(integer, "total", "remaining")).need("type", "total")},
	}}

	anthropicMessages = map[string]fields{
		"user":      all(text, "role").with(anthropicContent(anthropicBlocks)).need("content"),
		"assistant": all(text, "role").with(anthropicContent(anthropicBlocks)).need("content"),
		"system": all(text, "role", "clear_at").with(anthropicContent(anthropicSystemBlocks), fields{
			"output_config": {kind: message, of: all(text, "effort")},
		}),
	}

	anthropicText = map[string]fields{
		"text": all(text, "text", "type").with(cacheControl, lists(structure, "citations")).need("text"),
	}
	anthropicToolChange   = all(text, "type").with(cacheControl, all(structure, "tool")).need("tool")
	anthropicSystemBlocks = map[string]fields{
		"text":          anthropicText["text"],
		"tool_addition": anthropicToolChange,
		"tool_removal":  anthropicToolChange,
	}

	anthropicImage = all(text, "type").with(cacheControl, fields{
		"source": {kind: variant, by: "type", tagged: true, forms: map[string]fields{
			"base64": all(text, "media_type", "type").with(all(bytes64, "data")).need("data", "media_type"),
			"url":    all(text, "type", "url").need("url"),
			"file":   all(text, "file_id", "type").need("file_id"),
		}},
		"transformations": {kind: message, of: all(text, "oversized_image")},
	}).need("source")
	anthropicDocument = all(text, "context", "title", "type").with(cacheControl, citesOrNot, fields{
		"source": {kind: variant, by: "type", tagged: true, forms: map[string]fields{
			"base64":  all(text, "media_type", "type").with(all(bytes64, "data")).need("data", "media_type"),
			"text":    all(text, "data", "media_type", "type").need("data", "media_type"),
			"content": all(text, "type").with(all(anything, "content")).need("content"),
			"url":     all(text, "type", "url").need("url"),
			"file":    all(text, "file_id", "type").need("file_id"),
		}},
	}).need("source")
	anthropicSearchResult = all(text, "source", "title", "type").with(cacheControl, citesOrNot, fields{
		"content": {kind: variant, list: true, by: "type", tagged: true, forms: anthropicText},
	}).need("content", "source", "title")

	// anthropicResultParts are the blocks in a tool's result.
	anthropicResultParts = map[string]fields{
		"text":           anthropicText["text"],
		"image":          anthropicImage,
		"document":       anthropicDocument,
		"search_result":  anthropicSearchResult,
		"tool_reference": all(text, "tool_name", "type").with(cacheControl).need("tool_name"),
		"browser_state":  all(text, "type").with(cacheControl, lists(structure, "state_changes", "tabs")),
	}

	// anthropicServerResult is the result of a tool that Anthropic's servers run.
	anthropicServerResult = all(text, "tool_use_id", "type").with(cacheControl, all(anything, "content")).need("tool_use_id", "content")

	anthropicBlocks = map[string]fields{
		"text":              anthropicText["text"],
		"image":             anthropicImage,
		"document":          anthropicDocument,
		"search_result":     anthropicSearchResult,
		"thinking":          all(text, "signature", "thinking", "type").need("signature", "thinking"),
		"redacted_thinking": all(text, "data", "type").need("data"),
		"tool_use":          all(text, "id", "name", "toolset_name", "type").with(cacheControl, caller, anthropicInput).need("id", "name", "input"),
		"tool_result": all(text, "tool_use_id", "toolset_name", "type").with(cacheControl, all(boolean, "is_error"), fields{
			"content": {kind: variant, list: true, orText: true, by: "type", tagged: true, forms: anthropicResultParts},
		}).need("tool_use_id"),

		"server_tool_use":                        all(text, "id", "name", "type").with(cacheControl, caller, anthropicInput).need("id", "name", "input"),
		"web_search_tool_result":                 anthropicServerResult.with(caller),
		"web_fetch_tool_result":                  anthropicServerResult.with(caller),
		"code_execution_tool_result":             anthropicServerResult,
		"bash_code_execution_tool_result":        anthropicServerResult,
		"text_editor_code_execution_tool_result": anthropicServerResult,
		"tool_search_tool_result":                anthropicServerResult,
		"advisor_tool_result":                    anthropicServerResult,
		"mcp_tool_use":                           all(text, "id", "name", "server_name", "type").with(cacheControl, anthropicInput).need("id", "name", "server_name", "input"),
		"mcp_tool_result":                        all(text, "tool_use_id", "type").with(cacheControl, all(boolean, "is_error"), all(anything, "content")).need("tool_use_id"),
		"mcp_tool_listing":                       all(text, "mcp_server_name", "type").with(lists(structure, "tools")),
		"container_upload":                       all(text, "file_id", "type").with(cacheControl).need("file_id"),
		"compaction":                             all(text, "content", "encrypted_content", "signature", "type").with(cacheControl, lists(structure, "tool_changes")),
		"fallback":                               all(text, "type").with(all(structure, "from", "to"), all(anything, "trigger")).need("from", "to"),
		"tool_addition":                          anthropicToolChange,
		"tool_removal":                           anthropicToolChange,
	}

	anthropicToolChoices = map[string]fields{
		"auto": all(text, "type").with(all(boolean, "disable_parallel_tool_use")),
		"any":  all(text, "type").with(all(boolean, "disable_parallel_tool_use")),
		"tool": all(text, "name", "type").with(all(boolean, "disable_parallel_tool_use")).need("name"),
		"none": all(text, "type"),
	}
	anthropicBinding  = all(structure, "block_binding")
	anthropicThinking = map[string]fields{
		"enabled":       all(text, "display", "type").with(all(integer, "budget_tokens"), anthropicBinding).need("budget_tokens"),
		"adaptive":      all(text, "display", "type").with(anthropicBinding),
		"disabled":      all(text, "type"),
		"between_tools": all(text, "type"),
	}
	anthropicEdits = map[string]fields{
		"clear_tool_uses_20250919": all(text, "type").with(all(structure, "clear_at_least", "keep", "trigger"), all(anything, "clear_tool_inputs"), lists(text, "exclude_tools")),
		"clear_thinking_20251015":  all(text, "type").with(all(anything, "keep")),
		"compact_20260112":         all(text, "instructions", "type").with(all(boolean, "pause_after_compaction"), all(structure, "trigger")),
	}

	anthropicTool = all(text, "description", "name", "type").with(cacheControl, all(boolean, "defer_loading", "eager_input_streaming", "strict"),
		lists(text, "allowed_callers"), lists(structure, "input_examples"), fields{
			"input_schema": {kind: message, of: fields{
				"type": {kind: text, enum: []string{"object"}, required: true}, "properties": {kind: structure}, "required": {kind: text, list: true}, "*": {},
			}},
		}).need("name", "input_schema")

	// These are the fields of the tools that Anthropic defines.
	anthropicDefined  = all(text, "name", "type").with(cacheControl, all(boolean, "defer_loading", "strict"), lists(text, "allowed_callers")).need("name")
	anthropicExamples = lists(structure, "input_examples")
	anthropicComputer = anthropicDefined.with(anthropicExamples, all(integer, "display_height_px", "display_number", "display_width_px"))
	anthropicDomains  = all(integer, "max_uses").with(lists(text, "allowed_domains", "blocked_domains"))
	anthropicSearch   = anthropicDefined.with(anthropicDomains, all(structure, "user_location"))
	anthropicFetch    = anthropicDefined.with(anthropicDomains, all(integer, "max_content_tokens"), citesOrNot, all(structure, "url_sources"))
	anthropicToolset  = all(text, "type").with(cacheControl, all(structure, "configs"))

	anthropicTools = map[string]fields{
		"custom": anthropicTool,

		"advisor_20260301":                anthropicDefined.with(all(text, "model"), all(integer, "max_tokens", "max_uses"), all(structure, "caching")).need("model"),
		"bash_20241022":                   anthropicDefined.with(anthropicExamples),
		"bash_20250124":                   anthropicDefined.with(anthropicExamples),
		"browser_toolset_20260801":        anthropicToolset,
		"code_execution_20250522":         anthropicDefined,
		"code_execution_20250825":         anthropicDefined,
		"code_execution_20260120":         anthropicDefined,
		"code_execution_20260521":         anthropicDefined,
		"computer_20241022":               anthropicComputer,
		"computer_20250124":               anthropicComputer,
		"computer_20251124":               anthropicComputer.with(all(boolean, "enable_zoom")),
		"computer_toolset_20260801":       anthropicToolset,
		"mcp_toolset":                     anthropicToolset.with(all(text, "mcp_server_name"), all(structure, "default_config"), lists(structure, "tools")).need("mcp_server_name"),
		"memory_20250818":                 anthropicDefined.with(anthropicExamples),
		"text_editor_20241022":            anthropicDefined.with(anthropicExamples),
		"text_editor_20250124":            anthropicDefined.with(anthropicExamples),
		"text_editor_20250429":            anthropicDefined.with(anthropicExamples),
		"text_editor_20250728":            anthropicDefined.with(anthropicExamples, all(integer, "max_characters")),
		"tool_search_tool_bm25":           anthropicDefined.with(anthropicExamples),
		"tool_search_tool_bm25_20251119":  anthropicDefined.with(anthropicExamples),
		"tool_search_tool_regex":          anthropicDefined,
		"tool_search_tool_regex_20251119": anthropicDefined,
		"web_fetch_20250910":              anthropicFetch,
		"web_fetch_20260209":              anthropicFetch,
		"web_fetch_20260309":              anthropicFetch.with(all(boolean, "use_cache")),
		"web_fetch_20260318":              anthropicFetch.with(all(boolean, "use_cache"), all(text, "response_inclusion")),
		"web_search_20250305":             anthropicSearch,
		"web_search_20260209":             anthropicSearch,
		"web_search_20260318":             anthropicSearch.with(all(text, "response_inclusion")),
	}
)

// anthropicContent returns a field with the given name: a string, or a list of blocks.
func anthropicContent(blocks map[string]fields) fields {
	return fields{"content": {kind: variant, list: true, orText: true, by: "type", tagged: true, forms: blocks}}
}
