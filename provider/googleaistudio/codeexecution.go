package googleaistudio

import "strings"

// program is code that the model has had run, as a block of Markdown.
func (c *code) program() string {
	language := strings.ToLower(c.language)
	if language == "language_unspecified" {
		language = ""
	}
	return fenced(language, c.text)
}

// output is what came of the code, as a block of Markdown, with the outcome where it went wrong.
func (c *code) output() string {
	if c.outcome == "" || c.outcome == "OUTCOME_OK" {
		return fenced("", c.text)
	}
	return fenced("", c.outcome+"\n"+c.text)
}

// fenced is a text in a block of Markdown, between fences that are longer than those in it
// (https://spec.commonmark.org/0.31.2/#fenced-code-blocks).
func fenced(language, text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return "\n" + fence + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence + "\n"
}
