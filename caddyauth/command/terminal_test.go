package command

import (
	"strings"
	"testing"
)

func TestConfirmAsksOnlyOnATerminal(t *testing.T) {
	for answer, agreed := range map[string]bool{
		"y\n": true, "Yes\n": true, " YES \n": true, "y": true,
		"n\n": false, "\n": false, "": false, "yesterday\n": false,
	} {
		var out strings.Builder
		err := confirm(true, strings.NewReader(answer), &out, "Remove it?")
		if (err == nil) != agreed || out.String() != "Remove it? [y/N] " {
			t.Errorf("%q: error %v, asked %q", answer, err, out.String())
		}
	}
	var out strings.Builder
	if err := confirm(false, strings.NewReader("n\n"), &out, "Remove it?"); err != nil || out.Len() > 0 {
		t.Errorf("without a terminal: error %v, asked %q", err, out.String())
	}
}

func TestProgressIsShownForLongWork(t *testing.T) {
	said := func(terminal bool, total int) string {
		var out strings.Builder
		p := newProgress(&out, "read", total)
		p.terminal = terminal
		for done := 0; done < total; done += 400 {
			p.add(min(400, total-done))
		}
		p.end()
		return out.String()
	}
	for want, got := range map[string]string{
		"": said(true, 999),
		"\rread 400 of 1000\rread 800 of 1000\rread 1000 of 1000\n": said(true, 1000),
		"read 1200 of 2000\nread 2000 of 2000\n":                    said(false, 2000),
	} {
		if got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
}
