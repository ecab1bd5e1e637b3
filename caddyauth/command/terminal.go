package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/agents"
)

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// printable returns s without characters that could change the terminal.
func printable(s string) string { return agents.Printable(s) }

// confirm asks before something that cannot be undone. Without a terminal it does not ask: a script
// has decided already.
func confirm(terminal bool, in io.Reader, out io.Writer, question string) error {
	if !terminal {
		return nil
	}
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && answer == "" {
		return errors.New("nothing was changed")
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// progress shows how far a long command is.
type progress struct {
	out         io.Writer
	verb        string
	unit        string // the unit after a number, with a space before it; "" for a plain count
	step        int    // the progress between two messages; shorter work has no messages
	done, total int
	terminal    bool
	said        bool
}

func newProgress(out io.Writer, verb string, total int) *progress {
	return &progress{out: out, verb: verb, step: 1000, total: total, terminal: isTerminal(out)}
}

func (p *progress) add(n int) {
	before := p.done
	p.done += n
	switch {
	case p.total < p.step:
	case p.terminal:
		fmt.Fprintf(p.out, "\r%s %d of %d%s", p.verb, p.done, p.total, p.unit)
		p.said = true
	case before/p.step != p.done/p.step:
		fmt.Fprintf(p.out, "%s %d of %d%s\n", p.verb, p.done, p.total, p.unit)
	}
}

func (p *progress) end() {
	if p.said {
		fmt.Fprintln(p.out)
	}
}
