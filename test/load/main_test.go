package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestNeighboursTakeTurnsInBeingTheFirst(t *testing.T) {
	var order []string
	m := measurement{"any", 3, time.Second, func(_ context.Context, v variant, _ time.Duration) error {
		order = append(order, v.name)
		return nil
	}}
	if err := new(bench).inTurn(t.Context(), m, []variant{{name: "bare"}, {name: "ours"}, {name: "gemini"}}, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "bare ours gemini gemini ours bare bare ours gemini"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestQuickTakesOneTurnAndAProfileOneThatLasts(t *testing.T) {
	m := measurement{turns: 8, length: time.Second}
	if got := (&bench{quick: true}).shortened(m); got.turns != 1 || got.length != time.Second {
		t.Errorf("quick: %d turns of %v", got.turns, got.length)
	}
	if got := (&bench{profile: "folder", length: 2 * time.Second}).shortened(m); got.turns != 1 || got.length != 2*time.Second {
		t.Errorf("profiled: %d turns of %v", got.turns, got.length)
	}
	if got := (&bench{}).shortened(m); got.turns != 8 {
		t.Errorf("otherwise: %d turns", got.turns)
	}
}

func TestWithoutAToolNothingBegins(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := new(bench).run(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "wrk is needed (apt install wrk)") {
		t.Errorf("%v", err)
	}
}

func TestCADDYNamesTheProgram(t *testing.T) {
	t.Setenv("CADDY", "/a/caddy")
	if got, err := program(t.Context(), t.TempDir()); got != "/a/caddy" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}
