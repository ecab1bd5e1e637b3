package filestore

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestAFileIsReadOnceForEachChange(t *testing.T) {
	s := open(t, entryA("1"))
	before := s.apiKeys.entries
	s.want("1")
	// The time and the size are the same, so a look-up cannot see the change.
	write(t, s.keys, entryA("2"))
	setTime(t, s.keys, s.apiKeys.modified)
	s.want("1")
	if after := s.apiKeys.entries; fmt.Sprintf("%p", after) != fmt.Sprintf("%p", before) {
		t.Error("an unchanged file has been parsed again")
	}
}

func TestEveryKindOfChangeIsSeen(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for name, change := range map[string]func(t *testing.T, s *store){
		"a new time": func(t *testing.T, s *store) {
			write(t, s.keys, entryA("2"))
			setTime(t, s.keys, old.Add(time.Nanosecond))
		},
		"a new time in the past": func(t *testing.T, s *store) {
			write(t, s.keys, entryA("2"))
			setTime(t, s.keys, old.Add(-time.Hour))
		},
		"a new size": func(t *testing.T, s *store) {
			write(t, s.keys, entryA("2")+" ")
			setTime(t, s.keys, s.apiKeys.modified)
		},
		"another file with the same time and size": func(t *testing.T, s *store) {
			write(t, s.keys+".new", entryA("2"))
			setTime(t, s.keys+".new", s.apiKeys.modified)
			if err := os.Rename(s.keys+".new", s.keys); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, entryA("1"))
			s.want("1")
			change(t, s)
			s.want("2")
			s.want("2")
			s.wantLogs()
		})
	}
}

func TestANewTargetOfALinkIsSeen(t *testing.T) {
	s := open(t, entryA("1"))
	link, second := s.keys+".link", s.keys+".second"
	write(t, second, entryA("2"))
	setTime(t, second, s.apiKeys.modified)
	point := func(to string) {
		_ = os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Skip("no links here:", err)
		}
	}
	point(s.keys)
	linked, err := Open(link, second, nil)
	if err != nil {
		t.Fatal(err)
	}
	point(second)
	values, err := linked.Get(t.Context(), keystore.APIKeys, []string{"a"})
	if err != nil || string(values["a"]) != "2" {
		t.Error(values, err)
	}
}

func TestAFileCanChangeTwiceWithinOneTimeStamp(t *testing.T) {
	s := open(t, entryA("1"))
	for _, ahead := range []time.Duration{0, time.Second} {
		modified := time.Now().Add(ahead)
		for _, value := range []string{"2", "3", "2"} {
			write(t, s.keys, entryA(value))
			setTime(t, s.keys, modified)
			s.want(value)
		}
	}
	before := s.apiKeys.entries
	s.want("2")
	if fmt.Sprintf("%p", s.apiKeys.entries) != fmt.Sprintf("%p", before) {
		t.Error("the same content has been parsed again")
	}
	// A time in the future must not make every look-up read the file.
	setTime(t, s.keys, time.Now().Add(time.Hour))
	s.want("2")
	if s.apiKeys.seen == nil {
		t.Error("a file from the future is read each time")
	}
}

func TestABrokenFileKeepsItsLastGoodContent(t *testing.T) {
	s := open(t, entryA("1"))
	write(t, s.keys, `[{"key":"a","value":"sec`)
	s.want("1")
	s.want("1")
	setTime(t, s.keys, time.Now().Add(-time.Minute))
	s.want("1")
	s.wantLogs(unusable + "line 1, column 24: not valid JSON")

	write(t, s.keys, "")
	s.want("1")
	s.want("1")
	s.wantLogs(unusable + "the file is empty; without entries it is []")

	if err := os.Remove(s.keys); err != nil {
		t.Fatal(err)
	}
	s.want("1")
	s.want("1")
	if runtime.GOOS == "windows" {
		s.logs.TakeAll()
	} else {
		s.wantLogs(unusable + "no such file or directory")
	}

	if err := os.Mkdir(s.keys, 0o700); err != nil {
		t.Fatal(err)
	}
	s.want("1")
	s.wantLogs(unusable + "must be a regular file")
	if err := os.Remove(s.keys); err != nil {
		t.Fatal(err)
	}

	write(t, s.keys, entryA("2"))
	s.want("2")
	s.want("2")
	s.wantLogs(goodAgain)

	write(t, s.keys, "[]")
	s.want("absent")
	s.wantLogs()
}

func TestABrokenFileThatIsRestoredIsGoodAgain(t *testing.T) {
	s := open(t, entryA("1"))
	write(t, s.keys+".old", entryA("1"))
	setTime(t, s.keys+".old", s.apiKeys.modified)
	write(t, s.keys, "[")
	s.want("1")
	s.wantLogs(unusable + "line 1, column 1: not valid JSON")
	if err := os.Rename(s.keys+".old", s.keys); err != nil {
		t.Fatal(err)
	}
	s.want("1")
	s.want("1")
	s.wantLogs(goodAgain)
}

func TestAMissingFileThatComesBackIsGoodAgain(t *testing.T) {
	s := open(t, entryA("1"))
	for _, names := range [][2]string{{s.keys, s.keys + ".away"}, {s.keys + ".away", s.keys}} {
		if err := os.Rename(names[0], names[1]); err != nil {
			t.Fatal(err)
		}
		s.want("1")
	}
	if logs := s.logs.TakeAll(); len(logs) != 2 || logs[1].Level.String()+": "+logs[1].Message != goodAgain {
		t.Error(logs)
	}
}

func TestAnUnchangedBrokenFileIsParsedOnce(t *testing.T) {
	s := open(t, entryA("1"))
	write(t, s.keys, "[")
	setTime(t, s.keys, time.Now().Add(-time.Minute))
	s.want("1")
	if s.apiKeys.seen == nil || s.apiKeys.fault == nil {
		t.Error("a broken file is read each time")
	}
}
