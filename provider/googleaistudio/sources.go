package googleaistudio

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// sources are the web pages on which a choice's text is based, as the search found them
// (https://ai.google.dev/api/generate-content#GroundingMetadata).
type sources struct {
	text  []byte // the choice's text; kept only if the client asked for a search
	pages []page
	said  map[hub.URLCitation]bool
}

type page struct {
	url, title string
	cited      bool
}

// read reports the sources in a frame. Sources that belong to no passage are reported at the end.
func (s *sources) read(index int, grounding []byte, end bool, a *hub.Answer) {
	if len(grounding) == 0 && (!end || len(s.pages) == 0) {
		return
	}
	metadata := gjson.ParseBytes(grounding)
	s.add(metadata.Get("groundingChunks"))
	var citations []hub.URLCitation
	metadata.Get("groundingSupports").ForEach(func(_, support gjson.Result) bool {
		start, end := s.passage(support.Get("segment"))
		support.Get("groundingChunkIndices").ForEach(func(_, i gjson.Result) bool {
			if i := i.Int(); i >= 0 && i < int64(len(s.pages)) {
				s.pages[i].cited = true
				citations = s.cite(citations, &s.pages[i], start, end)
			}
			return true
		})
		return true
	})
	for i := range s.pages {
		if end && !s.pages[i].cited {
			s.pages[i].cited = true
			last := utf8.RuneCount(s.text)
			citations = s.cite(citations, &s.pages[i], last, last)
		}
	}
	a.Annotations(index, citations)
}

// add adds the pages of a frame. In a stream, a frame has either only new pages, or all pages again.
func (s *sources) add(chunks gjson.Result) {
	first := true
	chunks.ForEach(func(_, chunk gjson.Result) bool {
		for _, kind := range []string{"web", "retrievedContext", "maps"} {
			if of := chunk.Get(kind); of.Exists() {
				chunk = of
				break
			}
		}
		p := page{url: chunk.Get("uri").Str, title: chunk.Get("title").Str}
		if first && len(s.pages) > 0 && s.pages[0].url == p.url {
			s.pages = s.pages[:0]
		}
		first = false
		s.pages = append(s.pages, p)
		return true
	})
}

// cite adds a source of a passage unless it has been reported already or has no address.
func (s *sources) cite(citations []hub.URLCitation, p *page, start, end int) []hub.URLCitation {
	c := hub.URLCitation{Start: start, End: end, URL: p.url, Title: p.title}
	if p.url == "" || s.said[c] {
		return citations
	}
	if s.said == nil {
		s.said = map[hub.URLCitation]bool{}
	}
	s.said[c] = true
	return append(citations, c)
}

// passage returns where a segment is in the text, in characters. Gemini counts bytes. It counts them from the
// start of a part, or in a stream from the start of all parts. The segment's text shows which.
func (s *sources) passage(segment gjson.Result) (start, end int) {
	from, to := int(segment.Get("startIndex").Int()), int(segment.Get("endIndex").Int())
	text := []byte(segment.Get("text").Str)
	from = min(max(from, 0), len(s.text))
	to = min(max(to, from), len(s.text))
	if len(text) > 0 && !bytes.Equal(s.text[from:to], text) {
		if i := bytes.Index(s.text[from:], text); i >= 0 {
			from, to = from+i, from+i+len(text)
		}
	}
	return utf8.RuneCount(s.text[:from]), utf8.RuneCount(s.text[:to])
}
