package gatewaytest

// This file has the fields of OpenAI's requests, as of openai-go 3.96. A test compares them with
// the SDK's types.

var streamOptions = field{kind: message, of: all(boolean, "include_usage", "include_obfuscation")}

// chatFields are the fields of a chat request.
var chatFields = all(text,
	"model", "reasoning_effort", "verbosity", "service_tier", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
).with(
	all(number, "temperature", "top_p", "presence_penalty", "frequency_penalty"),
	all(integer, "max_tokens", "max_completion_tokens", "n", "seed", "top_logprobs"),
	all(boolean, "stream", "logprobs", "parallel_tool_calls", "store"),
	all(structure, "logit_bias", "audio", "metadata"),
	all(anything, "stop", "function_call"),
	lists(text, "modalities"),
	fields{
		"messages":        {kind: variant, list: true, by: "role", forms: chatMessages},
		"tools":           {kind: variant, list: true, by: "type", forms: chatTools},
		"tool_choice":     {kind: variant, orText: true, by: "type", forms: chatToolChoices},
		"response_format": {kind: variant, by: "type", forms: chatFormats},
		"functions":       {kind: message, list: true, of: all(text, "name", "description").with(all(structure, "parameters")).need("name")},
		"prediction": {kind: message, of: all(text, "type").with(fields{
			"content": {kind: variant, list: true, orText: true, by: "type", forms: chatText},
		})},
		"prompt_cache_options": {kind: message, of: all(text, "mode", "ttl")},
		"moderation":           moderation,
		"stream_options":       streamOptions,
		"web_search_options":   {kind: message, of: all(text, "search_context_size").with(all(structure, "user_location"))},
	},
)

var moderation = field{kind: message, of: all(text, "model").with(all(structure, "policy"))}

var (
	cacheBreakpoint = all(structure, "prompt_cache_breakpoint")
	functionCall    = field{kind: message, of: all(text, "arguments", "name")}

	chatText = map[string]fields{
		"text": all(text, "type", "text").with(cacheBreakpoint).need("text"),
	}
	chatParts = map[string]fields{
		"text":        chatText["text"],
		"image_url":   all(text, "type").with(cacheBreakpoint, fields{"image_url": {kind: message, of: all(text, "url", "detail").need("url")}}).need("image_url"),
		"input_audio": all(text, "type").with(cacheBreakpoint, fields{"input_audio": {kind: message, of: all(text, "data", "format")}}).need("input_audio"),
		"file":        all(text, "type").with(cacheBreakpoint, fields{"file": {kind: message, of: all(text, "file_data", "file_id", "filename")}}).need("file"),
	}
	chatSaid = map[string]fields{
		"text":    chatText["text"],
		"refusal": all(text, "type", "refusal"),
	}
	chatMessages = map[string]fields{
		"developer": all(text, "role", "name").with(content(chatText)),
		"system":    all(text, "role", "name").with(content(chatText)),
		"user":      all(text, "role", "name").with(content(chatParts)),
		"assistant": all(text, "role", "name", "refusal").with(content(chatSaid), fields{
			"audio":         {kind: message, of: all(text, "id")},
			"function_call": functionCall,
			"tool_calls":    {kind: variant, list: true, by: "type", forms: chatToolCalls},
		}),
		"tool":     all(text, "role", "tool_call_id").with(content(chatText)),
		"function": all(text, "role", "name", "content"),
	}
	chatToolCalls = map[string]fields{
		"function": all(text, "id", "type").with(fields{"function": functionCall}).need("id", "function"),
		"custom":   all(text, "id", "type").with(fields{"custom": {kind: message, of: all(text, "input", "name")}}).need("id", "custom"),
	}
	chatTools = map[string]fields{
		"function": all(text, "type").with(fields{"function": {kind: message, of: all(text, "name", "description").
			with(all(boolean, "strict"), all(structure, "parameters")).need("name")}}).need("function"),
		"custom": all(text, "type").with(fields{"custom": {kind: message, of: all(text, "name", "description").
			with(all(structure, "format")).need("name")}}).need("custom"),
	}
	chatToolChoices = map[string]fields{
		"function":      all(text, "type").with(fields{"function": {kind: message, of: all(text, "name")}}).need("function"),
		"custom":        all(text, "type").with(fields{"custom": {kind: message, of: all(text, "name")}}).need("custom"),
		"allowed_tools": all(text, "type").with(fields{"allowed_tools": {kind: message, of: all(text, "mode").with(lists(structure, "tools"))}}).need("allowed_tools"),
	}
	chatFormats = map[string]fields{
		"text":        all(text, "type"),
		"json_object": all(text, "type"),
		"json_schema": all(text, "type").with(fields{"json_schema": {kind: message, of: all(text, "name", "description").
			with(all(boolean, "strict"), all(structure, "schema")).need("name")}}).need("json_schema"),
	}
)

// content returns a field with the given name: a string, or a list of parts.
func content(parts map[string]fields) fields {
	return fields{"content": {kind: variant, list: true, orText: true, by: "type", forms: parts}}
}

// responseFields are the fields of a request to /responses.
var responseFields = all(text,
	"model", "instructions", "previous_response_id", "service_tier", "truncation", "user", "safety_identifier",
	"prompt_cache_key", "prompt_cache_retention",
).with(
	all(number, "temperature", "top_p"),
	all(integer, "max_output_tokens", "max_tool_calls", "top_logprobs"),
	all(boolean, "stream", "store", "background", "parallel_tool_calls"),
	all(structure, "metadata", "client_metadata"),
	all(anything, "conversation"),
	lists(text, "include"),
	lists(structure, "context_management"),
	fields{
		"input":                {kind: variant, list: true, orText: true, by: "type", forms: responseItems},
		"tools":                {kind: variant, list: true, by: "type", forms: responseTools},
		"tool_choice":          {kind: variant, orText: true, by: "type", forms: responseToolChoices},
		"access_programs":      {kind: message, of: all(text, "cyber")},
		"moderation":           moderation,
		"prompt":               {kind: message, of: all(text, "id", "version").with(all(structure, "variables"))},
		"prompt_cache_options": {kind: message, of: all(text, "comparison_response_id", "mode", "ttl").with(all(boolean, "prewarm"))},
		"reasoning":            {kind: message, of: all(text, "context", "effort", "generate_summary", "mode", "summary")},
		"stream_options":       {kind: message, of: all(boolean, "include_obfuscation")},
		"text": {kind: message, of: all(text, "verbosity").with(fields{
			"format": {kind: variant, by: "type", forms: responseFormats},
		})},
	},
)

var (
	responseFormats = map[string]fields{
		"text":        all(text, "type"),
		"json_object": all(text, "type"),
		"json_schema": all(text, "description", "name", "type").with(all(boolean, "strict"), all(structure, "schema")).need("name", "schema"),
	}
	responseToolChoices = map[string]fields{
		"function":                      all(text, "name", "type").need("name"),
		"custom":                        all(text, "name", "type").need("name"),
		"mcp":                           all(text, "name", "server_label", "type").need("server_label"),
		"allowed_tools":                 all(text, "mode", "type").with(lists(structure, "tools")).need("mode", "tools"),
		"apply_patch":                   all(text, "type"),
		"code_interpreter":              all(text, "type"),
		"computer":                      all(text, "type"),
		"computer_use":                  all(text, "type"),
		"computer_use_preview":          all(text, "type"),
		"file_search":                   all(text, "type"),
		"image_generation":              all(text, "type"),
		"programmatic_tool_calling":     all(text, "type"),
		"shell":                         all(text, "type"),
		"web_search_preview":            all(text, "type"),
		"web_search_preview_2025_03_11": all(text, "type"),
	}

	// responseGiven are the parts of what a user says, and of a tool's result.
	responseGiven = map[string]fields{
		"input_text":  all(text, "text", "type").with(cacheBreakpoint).need("text"),
		"input_image": all(text, "detail", "file_id", "image_url", "type").with(cacheBreakpoint),
		"input_file":  all(text, "detail", "file_data", "file_id", "file_url", "filename", "type").with(cacheBreakpoint),
	}
	responseParts = map[string]fields{
		"input_text":  responseGiven["input_text"],
		"input_image": responseGiven["input_image"],
		"input_file":  responseGiven["input_file"],
		"output_text": all(text, "text", "type").with(lists(structure, "annotations", "logprobs")).need("text"),
		"refusal":     all(text, "refusal", "type").need("refusal"),
	}
	responseResult = fields{"output": {kind: variant, list: true, orText: true, by: "type", forms: responseGiven}}

	// codexMetadata is what Codex's own provider puts on the items that it sends back.
	codexMetadata = all(structure, "internal_chat_message_metadata_passthrough")

	responseMessage = all(text, "id", "phase", "status", "type").with(content(responseParts), codexMetadata,
		fields{"role": {kind: text, enum: []string{"assistant", "developer", "system", "user"}}})

	responseItems = map[string]fields{
		"":        responseMessage, // or a reference to an item; both may have no type
		"message": responseMessage.need("role", "content"),

		"function_call":           all(text, "arguments", "call_id", "id", "name", "namespace", "status", "type").with(codexMetadata, all(boolean, "async"), all(structure, "caller")).need("arguments", "call_id", "name"),
		"function_call_output":    all(text, "call_id", "id", "name", "namespace", "status", "type").with(codexMetadata, all(structure, "caller"), responseResult).need("output"),
		"custom_tool_call":        all(text, "call_id", "id", "input", "name", "namespace", "type").with(codexMetadata, all(boolean, "async"), all(structure, "caller")).need("call_id", "input", "name"),
		"custom_tool_call_output": all(text, "call_id", "id", "type").with(codexMetadata, all(structure, "caller"), responseResult).need("call_id", "output"),
		"reasoning":               all(text, "encrypted_content", "id", "status", "type").with(codexMetadata, lists(structure, "content", "summary")).need("summary"),
		"item_reference":          all(text, "id", "type").need("id"),

		"additional_tools":        all(text, "id", "role", "type").with(fields{"tools": {kind: variant, list: true, by: "type", forms: responseTools}}).need("tools"),
		"apply_patch_call":        all(text, "call_id", "id", "status", "type").with(all(structure, "caller", "operation")).need("call_id", "operation"),
		"apply_patch_call_output": all(text, "call_id", "id", "output", "status", "type").with(all(structure, "caller")).need("call_id", "status"),
		"code_interpreter_call":   all(text, "code", "container_id", "id", "status", "type").with(lists(structure, "outputs")),
		"compaction":              all(text, "encrypted_content", "id", "type").need("encrypted_content"),
		"compaction_trigger":      all(text, "id", "type"),
		"computer_call":           all(text, "call_id", "id", "status", "type").with(all(structure, "action"), lists(structure, "actions", "pending_safety_checks")).need("call_id"),
		"computer_call_output":    all(text, "call_id", "id", "status", "type").with(all(structure, "output"), lists(structure, "acknowledged_safety_checks")).need("call_id", "output"),
		"configuration_update":    all(text, "id", "type").with(all(structure, "reasoning", "text")),
		"file_search_call":        all(text, "id", "status", "type").with(lists(text, "queries"), lists(structure, "results")),
		"image_generation_call":   all(text, "action", "background", "id", "output_format", "quality", "result", "revised_prompt", "size", "status", "type").with(all(structure, "error", "svg_usage")),
		"local_shell_call":        all(text, "call_id", "id", "status", "type").with(all(structure, "action")),
		"local_shell_call_output": all(text, "id", "output", "status", "type"),
		"mcp_approval_request":    all(text, "arguments", "id", "name", "server_label", "type"),
		"mcp_approval_response":   all(text, "approval_request_id", "id", "reason", "type").with(all(boolean, "approve")),
		"mcp_call":                all(text, "approval_request_id", "arguments", "id", "name", "output", "server_label", "status", "type").with(all(anything, "error")),
		"mcp_list_tools":          all(text, "error", "id", "server_label", "type").with(lists(structure, "tools")),
		"program":                 all(text, "call_id", "code", "fingerprint", "id", "type"),
		"program_output":          all(text, "call_id", "id", "result", "status", "type"),
		"shell_call":              all(text, "call_id", "id", "status", "type").with(all(structure, "action", "caller", "environment")),
		"shell_call_output":       all(text, "call_id", "id", "status", "type").with(all(integer, "max_output_length"), all(structure, "caller"), lists(structure, "output")),
		"tool_search_call":        all(text, "call_id", "execution", "id", "status", "type").with(all(anything, "arguments")),
		"tool_search_output":      all(text, "call_id", "execution", "id", "status", "type").with(lists(structure, "tools")),
		"web_search_call":         all(text, "id", "status", "type").with(all(structure, "action")),
	}

	// responseFunctions are the tools that a client runs. A namespace can contain them too.
	responseFunctions = map[string]fields{
		"function": all(text, "description", "name", "type").with(all(boolean, "async", "defer_loading", "strict"), all(structure, "output_schema", "parameters"), lists(text, "allowed_callers")).need("name"),
		"custom":   all(text, "description", "name", "type").with(all(boolean, "async", "defer_loading"), all(structure, "format"), lists(text, "allowed_callers")).need("name"),
	}
	webSearchTool    = all(text, "search_context_size", "type").with(all(boolean, "external_web_access"), all(structure, "filters", "user_location"), lists(text, "search_content_types"))
	webSearchPreview = all(text, "search_context_size", "type").with(all(structure, "user_location"), lists(text, "search_content_types"))

	responseTools = map[string]fields{
		"function":  responseFunctions["function"],
		"custom":    responseFunctions["custom"],
		"namespace": all(text, "description", "name", "type").with(fields{"tools": {kind: variant, list: true, by: "type", forms: responseFunctions}}).need("name", "tools"),

		"apply_patch":                   all(text, "type").with(lists(text, "allowed_callers")),
		"code_interpreter":              all(text, "type").with(all(anything, "container"), lists(text, "allowed_callers")).need("container"),
		"computer":                      all(text, "type"),
		"computer_use_preview":          all(text, "environment", "type").with(all(integer, "display_height", "display_width")),
		"file_search":                   all(text, "type").with(all(integer, "max_num_results"), all(structure, "ranking_options", "filters"), lists(text, "vector_store_ids")).need("vector_store_ids"),
		"image_generation":              all(text, "action", "background", "complexity", "input_fidelity", "model", "moderation", "output_format", "quality", "size", "type").with(all(integer, "frame_count", "frame_duration_ms", "output_compression", "partial_images"), all(structure, "input_image_mask", "svg")),
		"local_shell":                   all(text, "type"),
		"mcp":                           all(text, "authorization", "connector_id", "server_description", "server_label", "server_url", "tunnel_id", "type").with(all(boolean, "defer_loading"), all(structure, "headers"), all(anything, "allowed_tools", "require_approval"), lists(text, "allowed_callers")).need("server_label"),
		"programmatic_tool_calling":     all(text, "type"),
		"shell":                         all(text, "type").with(all(structure, "environment"), lists(text, "allowed_callers")),
		"tool_search":                   all(text, "description", "execution", "type").with(all(anything, "parameters")),
		"web_search":                    webSearchTool,
		"web_search_2025_08_26":         webSearchTool,
		"web_search_preview":            webSearchPreview,
		"web_search_preview_2025_03_11": webSearchPreview,
	}
)
