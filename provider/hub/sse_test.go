package hub

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func split(t *testing.T, pieces ...string) []string {
	t.Helper()
	var s Splitter
	var got []string
	event := func(data []byte) error {
		got = append(got, string(data))
		return nil
	}
	for _, piece := range pieces {
		if err := s.Write([]byte(piece), event); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(event); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSplitter(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []string
	}{
		"two events":                       {"data: a\n\ndata: b\n\n", []string{"a", "b"}},
		"CRLF":                             {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		"CR":                               {"data: a\r\rdata: b\r\r", []string{"a", "b"}},
		"no space after the colon":         {"data:a\n\n", []string{"a"}},
		"two spaces after the colon":       {"data:  a\n\n", []string{" a"}},
		"several data lines":               {"data: a\ndata: b\n\n", []string{"a\nb"}},
		"comments and other fields":        {": ping\nevent: x\nid: 1\nretry: 5\ndata: a\n\n", []string{"a"}},
		"a field that begins with data":    {"database: x\n\ndata: a\n\n", []string{"a"}},
		"an empty data line":               {"data\n\n", []string{""}},
		"blank lines between events":       {"\n\n\ndata: a\n\n\n\n", []string{"a"}},
		"no blank line at the end":         {"data: a\n\ndata: b", []string{"a", "b"}},
		"no blank line but an end of line": {"data: a\n\ndata: b\n", []string{"a", "b"}},
		"an event without data":            {"event: x\n\ndata: a\n\n", []string{"a"}},
		"nothing":                          {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := split(t, test.stream); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for i := range test.stream {
				if got := split(t, test.stream[:i], test.stream[i:]); !slices.Equal(got, test.want) {
					t.Errorf("torn at %d: got %q, want %q", i, got, test.want)
				}
			}
			if got := split(t, strings.Split(test.stream, "")...); !slices.Equal(got, test.want) {
				t.Errorf("byte by byte: got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAnEventWithoutEndIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes long over this, and there is one goroutine")
	}
	never := func([]byte) error { return errors.New("an event") }
	for name, piece := range map[string]string{
		"in one line":   strings.Repeat("x", 1<<20),
		"in many lines": "data: " + strings.Repeat("x", 1<<20) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			var s Splitter
			var err error
			for i := 0; i < 64 && err == nil; i++ {
				err = s.Write([]byte(piece), never)
			}
			var e *Error
			if !errors.As(err, &e) || e.Status != 502 {
				t.Errorf("error %v", err)
			}
		})
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("data: a\r\n\r\n: c\ndata: b\ndata: c\n\n"), uint8(3))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		whole := split(t, string(stream))
		var pieces []string
		for chunk := range slices.Chunk(stream, int(step)+1) {
			pieces = append(pieces, string(bytes.Clone(chunk)))
		}
		if torn := split(t, pieces...); !slices.Equal(whole, torn) {
			t.Errorf("in one piece %q, torn %q", whole, torn)
		}
	})
}

func TestJSONOutsideOfAnEventCountsAsAnEvent(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []string
	}{
		"in one line":             {"data: a\n\n{\"b\":1}\n", []string{"a", `{"b":1}`}},
		"in several":              {"data: a\r\n\r\n{\r\n  \"data\": 1\r\n}", []string{"a", "{\n  \"data\": 1\n}"}},
		"in a list":               {"[{\"b\":1}]\n\ndata: a\n\n", []string{`[{"b":1}]`, "a"}},
		"not in an event of data": {"data: a\n{\"b\":1}\n\n", []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range test.stream {
				if got := split(t, test.stream[:i], test.stream[i:]); !slices.Equal(got, test.want) {
					t.Errorf("torn at %d: got %q, want %q", i, got, test.want)
				}
			}
		})
	}
}
