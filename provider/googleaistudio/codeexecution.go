package googleaistudio

import "strings"

// program returns code that Google has run for the model, as a Markdown code block.
func (c *code) program() string {
	language := strings.ToLower(c.language)
	if language == "language_unspecified" {
		language = ""
	}
	return fenced(language, c.text)
}

// output returns the output of the code as a Markdown code block. If the code failed, it begins with the
// outcome.
func (c *code) output() string {
	if c.outcome == "" || c.outcome == "OUTCOME_OK" {
		return fenced("", c.text)
	}
	return fenced("", c.outcome+"\n"+c.text)
}

// fenced returns text as a Markdown code block. Its fences are longer than any in the text
// (https://spec.commonmark.org/0.31.2/#fenced-code-blocks).
func fenced(language, text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return "\n" + fence + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence + "\n"
}
