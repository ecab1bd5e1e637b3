package workersai

import "strings"

// fillInTheMiddle puts a prompt and its suffix between the markers that the model was trained on. Unknown
// models get StarCoder's markers, which most newer code models know.
func fillInTheMiddle(model, prompt, suffix string) string {
	model = strings.ToLower(model)
	switch {
	case strings.Contains(model, "qwen"):
		return "<|fim_prefix|>" + prompt + "<|fim_suffix|>" + suffix + "<|fim_middle|>"
	case strings.Contains(model, "deepseek"):
		return "<｜fim▁begin｜>" + prompt + "<｜fim▁hole｜>" + suffix + "<｜fim▁end｜>"
	case strings.Contains(model, "codellama"):
		return "<PRE> " + prompt + " <SUF>" + suffix + " <MID>"
	}
	return "<fim_prefix>" + prompt + "<fim_suffix>" + suffix + "<fim_middle>"
}
