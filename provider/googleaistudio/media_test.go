package googleaistudio

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestMediaTypesGetGeminisNames(t *testing.T) {
	for sent, want := range map[string]string{
		"image/jpg": "image/jpeg", "IMAGE/JPG": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png", "Image/PNG": "image/png",
		"audio/x-wav": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/mpeg": "audio/mp3", "audio/x-flac": "audio/flac",
		"application/x-pdf": "application/pdf", " image/webp ": "image/webp", "image/heic": "image/heic", "text/x-go": "text/x-go",
	} {
		for _, part := range []string{
			`{"type":"image_url","image_url":{"url":"data:` + sent + `;base64,AAAA"}}`,
			`{"type":"file","file":{"file_data":"data:` + sent + `;base64,AAAA"}}`,
		} {
			body := send(t, "gemini-2.5-flash", `"messages":[{"role":"user","content":[`+part+`]}]`)
			if got := gjson.GetBytes(body, "contents.0.parts.0.inlineData").Raw; got != `{"mimeType":"`+want+`","data":"AAAA"}` {
				t.Errorf("%s: sends %s", part, got)
			}
		}
	}
}

// Gemini 3 takes the detail for each image, older models take it for the request.
func TestTheDetailOfImagesIsTranslated(t *testing.T) {
	for name, test := range map[string]struct {
		model, details string
		parts, request string
	}{
		"of each":                    {"gemini-3-pro-preview", "low high medium auto - original", "LOW HIGH MEDIUM - - HIGH", ""},
		"of the latest":              {"gemini-flash-latest", "low", "LOW", ""},
		"of the request":             {"gemini-2.5-flash", "low low", "- -", "LOW"},
		"the highest of the request": {"gemini-2.5-flash", "low medium", "- -", "MEDIUM"},
		"high":                       {"gemini-2.5-flash", "auto high", "- -", "HIGH"},
		"low beside auto":            {"gemini-2.5-flash", "low auto", "- -", ""},
		"low beside no detail":       {"gemini-2.5-flash", "- low", "- -", ""},
		"auto and no detail":         {"gemini-2.5-flash", "auto -", "- -", ""},
		"of another family":          {"gemma-3-27b-it", "low", "-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var images, parts []string
			for detail := range strings.FieldsSeq(test.details) {
				image := `{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"` + detail + `"}}`
				images = append(images, strings.Replace(image, `,"detail":"-"`, "", 1))
			}
			body := send(t, test.model, `"messages":[{"role":"user","content":[`+strings.Join(images, ",")+`]}]`)
			name := func(level gjson.Result) string { return strings.TrimPrefix(level.Str, "MEDIA_RESOLUTION_") }
			for _, part := range gjson.GetBytes(body, "contents.0.parts").Array() {
				level := name(part.Get("mediaResolution.level"))
				if level == "" {
					level = "-"
				}
				parts = append(parts, level)
			}
			if got := strings.Join(parts, " "); got != test.parts {
				t.Errorf("parts have %s, want %s", got, test.parts)
			}
			if got := name(gjson.GetBytes(body, "generationConfig.mediaResolution")); got != test.request {
				t.Errorf("the request has %s, want %s", got, test.request)
			}
		})
	}
}
