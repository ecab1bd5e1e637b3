package googleaistudio

import (
	"path"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// text is the text of a content at a field of the request: a string, or an array of text parts.
func text(at string, content gjson.Result) (string, error) {
	switch {
	case content.Type == gjson.Null:
		return "", nil
	case content.Type == gjson.String:
		return content.Str, nil
	case !content.IsArray():
		return "", errContent(at)
	}
	var all strings.Builder
	err := each(at, content, func(at string, part gjson.Result) error {
		kind := part.Get("type").Str
		if kind != "text" && kind != "refusal" {
			return openai.BadRequest(at+".type", "Send this role's content as text: of other parts, Gemini takes only the user's.")
		}
		value := part.Get(kind)
		if value.Type != gjson.String {
			return openai.BadRequest(at+"."+kind, "Send `"+kind+"` as a string.")
		}
		all.WriteString(value.Str)
		return nil
	})
	return all.String(), err
}

func errContent(at string) error {
	return openai.BadRequest(at, "Send `content` as a string or an array of parts.")
}

// appendParts appends the content of a user's message to Gemini's parts.
func appendParts(b []byte, at string, content gjson.Result) ([]byte, error) {
	switch {
	case content.Type == gjson.Null:
		return b, nil
	case content.Type == gjson.String:
		return appendText(b, content.Str), nil
	case !content.IsArray():
		return b, errContent(at)
	}
	err := each(at, content, func(at string, part gjson.Result) (err error) {
		b, err = appendPart(b, at, part)
		return err
	})
	return b, err
}

// appendText appends a text part, which Gemini does not take empty.
func appendText(b []byte, text string) []byte {
	if text == "" {
		return b
	}
	b = append(separate(b), `{"text":`...)
	return append(openai.AppendString(b, text), '}')
}

// appendSigned appends what the model said, with the thought signature that came with it.
func appendSigned(b []byte, text, signature string) []byte {
	b = appendText(b, text)
	if signature == "" {
		return b
	}
	b = openai.AppendString(append(b[:len(b)-1], `,"thoughtSignature":`...), signature)
	return append(b, '}')
}

func appendPart(b []byte, at string, part gjson.Result) ([]byte, error) {
	switch part.Get("type").Str {
	case "text":
		value := part.Get("text")
		if value.Type != gjson.String {
			return b, openai.BadRequest(at+".text", "Send `text` as a string.")
		}
		return appendText(b, value.Str), nil
	case "image_url":
		return appendImage(b, at+".image_url.url", part.Get("image_url.url").Str)
	case "input_audio":
		return appendAudio(b, at+".input_audio", part.Get("input_audio"))
	case "file":
		if data, ok := parseData(part.Get("file.file_data").Str); ok {
			return data.append(b), nil
		}
		return b, openai.BadRequest(at+".file.file_data", "Send a file as `file_data` with a URL of the form data:<type>;base64,<data>: files of OpenAI's are out of Gemini's reach.")
	}
	return b, openai.BadRequest(at+".type", "Send parts of the types text, image_url, input_audio and file.")
}

// inlineData is a file within a request.
type inlineData struct{ mime, base64 string }

// parseData reads a URL of the form data:<type>;base64,<data>
// (https://www.rfc-editor.org/rfc/rfc2397).
func parseData(url string) (inlineData, bool) {
	if len(url) < len("data:") || !strings.EqualFold(url[:len("data:")], "data:") {
		return inlineData{}, false
	}
	head, data, ok := strings.Cut(url[len("data:"):], ",")
	mime, options, _ := strings.Cut(head, ";")
	isBase64 := strings.EqualFold(options, "base64") || len(options) > 7 && strings.EqualFold(options[len(options)-7:], ";base64")
	return inlineData{mime: mime, base64: data}, ok && isBase64 && mime != "" && data != ""
}

func (d inlineData) append(b []byte) []byte {
	b = append(separate(b), `{"inlineData":{"mimeType":`...)
	b = openai.AppendString(b, d.mime)
	b = append(b, `,"data":`...)
	return append(openai.AppendString(b, d.base64), "}}"...)
}

// appendImage appends an image. Google itself fetches what is not part of the request.
func appendImage(b []byte, at, url string) ([]byte, error) {
	if data, ok := parseData(url); ok {
		return data.append(b), nil
	}
	if !strings.HasPrefix(url, "https://") {
		return b, openai.BadRequest(at, "Send an image as a URL of the form data:<type>;base64,<data>, or as an https URL.")
	}
	b = append(separate(b), `{"fileData":{`...)
	if mime := imageType(url); mime != "" {
		b = append(b, `"mimeType":"`+mime+`",`...)
	}
	b = append(b, `"fileUri":`...)
	return append(openai.AppendString(b, url), "}}"...), nil
}

// imageType guesses the type of an image from its name. Where it cannot, Google has to.
func imageType(url string) string {
	name, _, _ := strings.Cut(url, "?")
	name, _, _ = strings.Cut(name, "#")
	switch extension := strings.ToLower(path.Ext(name)); extension {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png", ".webp", ".gif", ".heic", ".heif":
		return "image/" + extension[1:]
	}
	return ""
}

func appendAudio(b []byte, at string, audio gjson.Result) ([]byte, error) {
	data := audio.Get("data").Str
	if data == "" {
		return b, openai.BadRequest(at+".data", "Send the audio's `data` in base64.")
	}
	format := audio.Get("format").Str
	if format != "wav" && format != "mp3" {
		return b, openai.BadRequest(at+".format", "Send the audio's `format` as wav or mp3.")
	}
	return inlineData{mime: "audio/" + format, base64: data}.append(b), nil
}
