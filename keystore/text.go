package keystore

import (
	"bytes"
	"errors"
)

// A text that begins with a byte order mark comes from an editor, spreadsheet or shell of Windows.
// The mark is U+FEFF in the text's encoding (RFC 3629, section 6; RFC 2781, section 3.2). JSON must
// not have one (RFC 8259, section 8.1).
var (
	mark   = []byte("\ufeff")
	markLE = []byte{0xff, 0xfe}
	markBE = []byte{0xfe, 0xff}
)

// ErrUTF16 means that a text is in UTF-16, as Windows PowerShell writes it.
var ErrUTF16 = errors.New("the text is UTF-16; save it as UTF-8")

// CutMark splits a text into its UTF-8 byte order mark, if there is one, and the rest. Both share
// the memory of text. For a text in UTF-16 it returns ErrUTF16. It recognizes UTF-16 without a mark
// by the zero byte in the first character, which neither JSON nor CSV can have.
func CutMark(text []byte) (before, rest []byte, err error) {
	if bytes.HasPrefix(text, markLE) || bytes.HasPrefix(text, markBE) ||
		len(text) >= 2 && (text[0] == 0) != (text[1] == 0) {
		return nil, nil, ErrUTF16
	}
	if bytes.HasPrefix(text, mark) {
		return text[:len(mark):len(mark)], text[len(mark):], nil
	}
	return nil, text, nil
}
