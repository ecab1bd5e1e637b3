package redis

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestOnlyAnswersOfRedisPassTheGuard(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   bool
	}{
		"a status":                       {"+OK\r\n", true},
		"an error":                       {"-ERR unknown command\r\n", true},
		"a number":                       {":42\r\n", true},
		"a negative number":              {":-42\r\n", true},
		"a number of -1":                 {":-1\r\n:5\r\n", true},
		"a string":                       {"$5\r\na\r\nb$\r\n+OK\r\n", true},
		"an empty string":                {"$0\r\n\r\n+OK\r\n", true},
		"nothing":                        {"$-1\r\n*-1\r\n", true},
		"an array":                       {"*3\r\n:1\r\n$1\r\nx\r\n*2\r\n+a\r\n$-1\r\n+OK\r\n", true},
		"an empty array":                 {"*2\r\n*0\r\n*0\r\n+OK\r\n", true},
		"part of an answer":              {"*2\r\n$100\r\nabc", true},
		"part of a line":                 {"+abc", true},
		"a web server's":                 {"HTTP/1.1 400 Bad Request\r\n", false},
		"an SSH server's":                {"SSH-2.0-OpenSSH_9.2\r\n", false},
		"an SSH server's, in part":       {"SSH", false},
		"an empty line":                  {"\r\n", false},
		"a line with only its kind":      {"+\n", false},
		"a line without a return":        {"+OK\n", false},
		"a string too long":              {"$99999999999\r\n", false},
		"a string far too long":          {"$9223372036854775807\r\n", false},
		"a string longer than a number":  {"$92233720368547758070\r\n", false},
		"a string of negative length":    {"$-2\r\n", false},
		"a string without a length":      {"$\r\n", false},
		"an array too long":              {"*99999999999\r\n", false},
		"an array of negative length":    {"*-5\r\n", false},
		"arrays in arrays without end":   {strings.Repeat("*1\r\n", 9), false},
		"a line without end":             {"+" + strings.Repeat("x", maxLine), false},
		"a map":                          {"%2\r\n+a\r\n+b\r\n+c\r\n*1\r\n_\r\n+OK\r\n", true},
		"a map that has too little":      {"%1\r\n+a\r\n+b\r\nnonsense\r\n", false},
		"a map too long":                 {"%99999999999\r\n", false},
		"a map far too long":             {"%9223372036854775807\r\n", false},
		"a push":                         {">1\r\n+a\r\n", true},
		"a set":                          {"~1\r\n#t\r\n", true},
		"other numbers":                  {",1.5\r\n(123456789012345678901234567890\r\n", true},
		"an error with a length":         {"!5\r\nERR x\r\n+OK\r\n", true},
		"an attribute":                   {"|1\r\n+a\r\n+b\r\n+OK\r\n", false},
		"nonsense after a right answer":  {"+OK\r\nnonsense\r\n", false},
		"nonsense after a string":        {"$1\r\nx\r\nnonsense", false},
		"nonsense in an array":           {"*2\r\n+a\r\nnonsense\r\n", false},
		"more than one answer at a time": {"+a\r\n+b\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			var whole guard
			if got := whole.check([]byte(test.answer)); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
			if got := byteByByte(test.answer); got != test.want {
				t.Errorf("byte by byte: %v, want %v", got, test.want)
			}
		})
	}
}

func byteByByte(answer string) bool {
	var g guard
	for i := range len(answer) {
		if !g.check([]byte(answer[i : i+1])) {
			return false
		}
	}
	return true
}

func TestAConnectionWithNonsenseIsClosed(t *testing.T) {
	near, far := net.Pipe()
	conn := &guardedConn{Conn: near}
	go func() { _, _ = far.Write([]byte("+OK\r\n")); _, _ = far.Write([]byte("nonsense\r\n")) }()
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "+OK\r\n" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if n, err := conn.Read(b); n != 0 || !errors.Is(err, errNonsense) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("the connection is open")
	}
}

// FuzzGuard checks that the guard decides the same however the answers are split, and that what passes needs
// little memory.
func FuzzGuard(f *testing.F) {
	for _, answer := range []string{"+OK\r\n", "*2\r\n$3\r\nabc\r\n:1\r\n", "$-1\r\n", "*1\r\n*0\r\n", "nonsense", "$99999999999\r\n"} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		var whole guard
		got := whole.check([]byte(answer))
		if other := byteByByte(answer); got != other {
			t.Errorf("%v at once, %v byte by byte", got, other)
		}
		if got && len(whole.open) > maxDepth || got && whole.skip > maxString+2 || len(whole.line) > maxLine+len(answer) {
			t.Errorf("%+v", whole)
		}
	})
}
