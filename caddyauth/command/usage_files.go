package command

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
)

// readAll reads files, and shows the progress.
func (l *usageLog) readAll(files []string, stdin io.Reader, messages io.Writer) error {
	var total int64
	for _, path := range files {
		if path == "-" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		total += info.Size()
	}
	progress := newProgress(messages, "read", int(total/megabyte))
	progress.unit, progress.step = " MB", 100
	defer progress.end()
	for _, path := range files {
		if err := l.readFile(path, stdin, progress); err != nil {
			return err
		}
	}
	return nil
}

func (l *usageLog) readFile(path string, stdin io.Reader, progress *progress) error {
	if path == "-" {
		return l.read("standard input", stdin)
	}
	if strings.HasSuffix(path, ".zst") {
		return fmt.Errorf("%s: zstd files are not supported: use `zstd -dc` and name - for its output", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	counted := &countedReader{in: file, progress: progress}
	if !strings.HasSuffix(path, ".gz") {
		return l.read(path, counted)
	}
	plain, err := gzip.NewReader(counted)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return l.read(path, plain)
}

const megabyte = 1_000_000

// countedReader adds the megabytes that are read to a progress.
type countedReader struct {
	in       io.Reader
	progress *progress
	rest     int
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if r.rest += n; r.rest >= megabyte {
		r.progress.add(r.rest / megabyte)
		r.rest %= megabyte
	}
	return n, err
}

// sayWhatIsMissing prints what the figures do not include.
func (l *usageLog) sayWhatIsMissing(messages io.Writer) {
	say := func(n int64, one, many, what string) {
		if n == 1 {
			many = one
		}
		if n > 0 {
			fmt.Fprintf(messages, "%d %s %s\n", n, many, what)
		}
	}
	say(l.notJSON, "line was", "lines were", "not JSON, and left out.")
	say(l.tooLong, "line was", "lines were", "longer than 1 MB, and left out.")
	say(l.total().TokensPartial, "request", "requests", "ended before the provider had counted all tokens: it may have used more.")
}
