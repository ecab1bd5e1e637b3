package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// accessLogger is the logger of all Caddy access logs. Each site's access log is a child of it.
const accessLogger = "http.log.access"

// logConfig is the part of a log's configuration that is needed here.
type logConfig struct {
	Writer struct {
		Output           string `json:"output"`
		Filename         string `json:"filename"`
		BackupTimeFormat string `json:"backup_time_format"`
	} `json:"writer"`
	Encoder logEncoder `json:"encoder"`
	Include []string   `json:"include"`
	Exclude []string   `json:"exclude"`
}

// logEncoder says how a log is encoded. An encoder that changes fields wraps another one.
type logEncoder struct {
	Format string      `json:"format"`
	Wrap   *logEncoder `json:"wrap"`
}

// isJSON reports whether the encoder of a file writes JSON.
func (e *logEncoder) isJSON() bool {
	switch {
	case e == nil, e.Format == "", e.Format == "json":
		return true
	case e.Format == "filter", e.Format == "append":
		return e.Wrap.isJSON()
	}
	return false
}

// takesAccess reports whether a log contains access logs.
func (c *logConfig) takesAccess() bool {
	above := func(name string) bool { return name == accessLogger || strings.HasPrefix(accessLogger, name+".") }
	if len(c.Include) == 0 {
		return !slices.ContainsFunc(c.Exclude, above)
	}
	return slices.ContainsFunc(c.Include, func(name string) bool {
		return above(name) || strings.HasPrefix(name, accessLogger+".")
	})
}

// logBlock is a log for the Caddyfile. It has none of the places in which clients send a user's key,
// because Caddy would log them.
const logBlock = `	log {
		output file access.log
		format filter {
			request>headers>Api-Key delete
			request>headers>X-Api-Key delete
			request>headers>X-Goog-Api-Key delete
			request>uri query {
				delete key
			}
		}
	}`

// logFiles returns the files of all JSON access logs in a configuration, including rolled files.
func logFiles(config []byte) ([]string, error) {
	var all struct {
		Logging struct {
			Logs map[string]*logConfig `json:"logs"`
		} `json:"logging"`
	}
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, fmt.Errorf("the configuration is no Caddy configuration: %w", err)
	}
	var files []string
	for _, name := range slices.Sorted(maps.Keys(all.Logging.Logs)) {
		c := all.Logging.Logs[name]
		if c == nil || c.Writer.Output != "file" || !c.Encoder.isJSON() || !c.takesAccess() {
			continue
		}
		path, err := caddy.NewReplacer().ReplaceOrErr(c.Writer.Filename, true, true)
		if err == nil {
			path, err = filepath.Abs(path) // errors must say where the file was expected
		}
		if err != nil {
			return nil, fmt.Errorf("the file of log %s: %w", name, err)
		}
		rolled, err := rolledFiles(path, c.Writer.BackupTimeFormat)
		if err != nil {
			return nil, err
		}
		files = append(append(files, rolled...), path)
	}
	if len(files) == 0 {
		return nil, errors.New("the configuration writes no access log to a file in JSON: name the files, or put this into the site's block:\n" + logBlock)
	}
	slices.Sort(files)
	return slices.Compact(files), nil // several sites may write to one log
}

// rolledFiles returns the rolled files of a log. Their names have the log's name, the time and
// usually a reason: access-2026-01-31T12-00-00.000-size.log.gz.
func rolledFiles(path, timeFormat string) ([]string, error) {
	if timeFormat == "" {
		timeFormat = "2006-01-02T15-04-05.000"
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	extension := filepath.Ext(path)
	prefix := strings.TrimSuffix(filepath.Base(path), extension) + "-"
	var files []string
	for _, entry := range entries {
		plain := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), ".gz"), ".zst")
		stamp, ok := strings.CutPrefix(plain, prefix)
		if !ok || !strings.HasSuffix(stamp, extension) {
			continue
		}
		stamp = strings.TrimSuffix(stamp, extension)
		if _, err := time.Parse(timeFormat, stamp); err != nil {
			if _, err = time.Parse(timeFormat, stamp[:max(0, strings.LastIndexByte(stamp, '-'))]); err != nil {
				continue
			}
		}
		// After compression, a file exists twice until the uncompressed one is removed.
		if last := len(files) - 1; last >= 0 && files[last] == filepath.Join(filepath.Dir(path), plain) {
			continue
		}
		files = append(files, filepath.Join(filepath.Dir(path), entry.Name()))
	}
	return files, nil
}
