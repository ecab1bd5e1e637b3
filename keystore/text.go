package keystore

import (
	"bytes"
	"errors"
)

// Some editors, spreadsheets and shells of Windows begin a text with a byte order mark: U+FEFF in the
// text's encoding (RFC 3629, section 6; RFC 2781, section 3.2). JSON has none (RFC 8259, section 8.1).
var (
	mark   = []byte("\ufeff")
	markLE = []byte{0xff, 0xfe}
	markBE = []byte{0xfe, 0xff}
)

// ErrUTF16 says that a text is in UTF-16, as Windows PowerShell writes it.
var ErrUTF16 = errors.New("the text is UTF-16; save it as UTF-8")

// CutMark splits a text into the byte order mark of UTF-8 that it may begin with, and the rest. Both
// share text's memory. The error is ErrUTF16. A text in UTF-16 without a mark is known by the zero byte
// beside its first character, which neither JSON nor CSV can have.
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
