package googleaistudio

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// inlineData is a file in a request.
type inlineData struct {
	mime, base64 string
	level        resolution
}

// parseData reads a URL of the form data:<type>;base64,<data> (https://www.rfc-editor.org/rfc/rfc2397).
func parseData(url string) (inlineData, bool) {
	if len(url) < len("data:") || !strings.EqualFold(url[:len("data:")], "data:") {
		return inlineData{}, false
	}
	head, data, ok := strings.Cut(url[len("data:"):], ",")
	mime, options, _ := strings.Cut(head, ";")
	isBase64 := strings.EqualFold(options, "base64") || len(options) > 7 && strings.EqualFold(options[len(options)-7:], ";base64")
	mime = mimeType(mime)
	return inlineData{mime: mime, base64: data}, ok && isBase64 && mime != "" && data != ""
}

// mimeTypes maps media types that clients use to the names that Gemini knows
// (https://ai.google.dev/gemini-api/docs/image-understanding, /audio, /document-processing).
var mimeTypes = map[string]string{
	"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-jpeg": "image/jpeg", "image/jfif": "image/jpeg",
	"image/x-png": "image/png", "image/x-webp": "image/webp",
	"audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/x-pn-wav": "audio/wav",
	"audio/mpeg": "audio/mp3", "audio/mpeg3": "audio/mp3", "audio/x-mpeg": "audio/mp3", "audio/x-mp3": "audio/mp3",
	"audio/x-aac": "audio/aac", "audio/x-aiff": "audio/aiff", "audio/x-flac": "audio/flac",
	"application/x-pdf": "application/pdf",
}

// mimeType returns Gemini's name for a media type. Types that are not in mimeTypes are only changed to lower
// case.
func mimeType(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if known, ok := mimeTypes[name]; ok {
		return known
	}
	return name
}

func (d inlineData) append(b []byte) []byte {
	b = append(separate(b), `{"inlineData":{"mimeType":`...)
	b = jsontext.AppendString(b, d.mime)
	b = append(b, `,"data":`...)
	b = append(jsontext.AppendString(b, d.base64), '}')
	if d.level != unspecified {
		b = jsontext.AppendString(append(b, `,"mediaResolution":{"level":`...), d.level.name())
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendAudio(b []byte, at string, audio gjson.Result) ([]byte, error) {
	data := audio.Get("data").Str
	if data == "" {
		return b, hub.BadRequest(at+".data", "Send the audio's `data` in base64.")
	}
	format := audio.Get("format").Str
	if format != "wav" && format != "mp3" {
		return b, hub.BadRequest(at+".format", "Send the audio's `format` as wav or mp3.")
	}
	return inlineData{mime: "audio/" + format, base64: data}.append(b), nil
}

// resolution is how closely Gemini looks at an image, from low to high
// (https://ai.google.dev/gemini-api/docs/media-resolution).
type resolution int

const (
	unspecified resolution = iota
	low
	medium
	high
)

// details maps the values of an image's `detail`. Gemini has nothing above high, so "original" is high.
var details = map[string]resolution{"": unspecified, "auto": unspecified, "low": low, "medium": medium, "high": high, "original": high}

func (r resolution) name() string {
	return [...]string{"MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"}[r]
}

// resolutions collects the `detail` of a conversation's images. From version 3 on, Gemini takes it for each
// image. Older models have one value for the whole request. It is the highest that an image asks for. But if
// an image leaves the choice to the model, only high is sent.
type resolutions struct {
	each    bool // whether each image has its own resolution
	left    bool // whether an image leaves the choice to the model
	highest resolution
}

// image reads an `image_url`.
func (r *resolutions) image(at string, image []byte) (inlineData, error) {
	value := gjson.ParseBytes(image)
	data, ok := parseData(value.Get("url").Str)
	if !ok {
		return data, hub.BadRequest(at+".url", "Send an image as a URL of the form data:<type>;base64,<data>: Gemini accepts no other URLs.")
	}
	detail := value.Get("detail")
	level, ok := details[detail.Str]
	if !ok || detail.Type != gjson.String && detail.Type != gjson.Null {
		return data, hub.BadRequest(at+".detail", "Send an image's `detail` as auto, low, medium, high or original.")
	}
	if r.each {
		data.level = level
		return data, nil
	}
	r.left = r.left || level == unspecified
	r.highest = max(r.highest, level)
	return data, nil
}

// request returns the resolution for the whole request.
func (r *resolutions) request() resolution {
	if r.left && r.highest < high {
		return unspecified
	}
	return r.highest
}
