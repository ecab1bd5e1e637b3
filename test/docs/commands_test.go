package docs

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// inCI turns a command of the documentation into the command that CI runs. CI uses sockets instead
// of ports, and a key that it has made.
var inCI = strings.NewReplacer(
	"-o caddy", `-o "$work/caddy"`,
	"./caddy ", `"$work/caddy" `,
	"./test/load", "./test/load -quick",
	"curl https://ai.example.com", "curl -sS --unix-socket site.sock http://ai.example.com",
	"'Authorization: Bearer USER_KEY'", `"Authorization: Bearer $key"`,
	"curl localhost:2019", "curl -fsS --unix-socket admin.sock http://localhost",
	"curl -X DELETE localhost:2019", "curl -fsS --unix-socket admin.sock -X DELETE http://localhost",
)

// inAnotherForm has commands that CI runs with additions that a published module does not need,
// such as a module proxy made of the checkout.
var inAnotherForm = []string{"xcaddy build --with github.com/continue-auth/caddy-continue-auth"}

// It compares the shell blocks with .ci/run.
func TestCIRunsEveryCommandOfTheDocumentation(t *testing.T) {
	behind := regexp.MustCompile(` [|>#].*`) // a redirection or a comment after a command
	var runs []string
	for line := range strings.Lines(Read(t, ".ci/run")) {
		if line = behind.ReplaceAllString(strings.TrimSpace(line), ""); !strings.HasPrefix(line, "step ") && !strings.HasPrefix(line, "#") {
			runs = append(runs, strings.TrimSuffix(line, ")")) // the end of $(…)
		}
	}
	run := func(command string) bool { // the whole command, perhaps with text before it
		return slices.ContainsFunc(runs, func(line string) bool {
			before, ok := strings.CutSuffix(line, command)
			return ok && (before == "" || strings.HasSuffix(before, " ") || strings.HasSuffix(before, "("))
		})
	}
	for _, block := range AllBlocks(t, "sh") {
		for command := range strings.Lines(block) {
			command = behind.ReplaceAllString(strings.TrimSpace(command), "")
			if !slices.Contains(inAnotherForm, command) && !run(inCI.Replace(command)) {
				t.Errorf("CI does not run %s", command)
			}
		}
	}
}

func TestCIImportsTheUsersOfTheDocumentation(t *testing.T) {
	if !strings.Contains(Read(t, ".ci/run"), "\n"+Blocks(t, "docs/operating.md", "csv")[0]) {
		t.Error("CI imports another file than docs/operating.md has")
	}
}

func TestContributingHasEveryStepOfCI(t *testing.T) {
	var steps []string
	for _, match := range regexp.MustCompile(`(?m)^(?:step|beside) "([^$"]*)"`).FindAllStringSubmatch(Read(t, ".ci/run"), -1) {
		steps = append(steps, match[1])
	}
	_, section, _ := strings.Cut(Read(t, "CONTRIBUTING.md"), "\n## CI\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, row := range rows(section) {
		if row[0] != "step" && !strings.HasPrefix(row[0], "---") {
			documented = append(documented, row[0])
		}
	}
	if len(steps) == 0 || !slices.Equal(steps, documented) {
		t.Errorf("CI has the steps\n%q, and CONTRIBUTING.md\n%q", steps, documented)
	}
}

// It looks for the packages and names of each go test in CONTRIBUTING.md.
func TestTheTestsNamedInContributingExist(t *testing.T) {
	commands := regexp.MustCompile("go test [^`\n]*").FindAllString(Read(t, "CONTRIBUTING.md"), -1)
	checked := 0
	for _, command := range commands {
		folder := regexp.MustCompile(`\./[a-z/]+`).FindString(command)
		if folder == "" || strings.Contains(command, "./...") {
			continue
		}
		checked++
		tests := goFiles(t, folder)
		if tests == "" {
			t.Errorf("%s: there is no such package", command)
		}
		for _, match := range regexp.MustCompile(`-(?:run|fuzz) ([A-Za-z]+)`).FindAllStringSubmatch(command, -1) {
			if !regexp.MustCompile(`(?m)^func (Test|Fuzz)?\w*` + match[1]).MatchString(tests) {
				t.Errorf("%s: there is no such test", command)
			}
		}
	}
	if checked < 5 {
		t.Errorf("%d commands are checked", checked)
	}
}

func TestContributingsCodeIsTheRepositorysCode(t *testing.T) {
	all := sources(t, "caddyauth") + sources(t, "keystore") + sources(t, "provider") + goFiles(t, "keystore/filestore")
	for _, block := range Blocks(t, "CONTRIBUTING.md", "go") {
		for line := range strings.Lines(block) {
			if !strings.Contains(all, line) {
				t.Errorf("no file has the line %s", line)
			}
		}
	}
}

// goFiles are the Go files of a folder, one after the other.
func goFiles(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(t), folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		all.WriteString(contentOf(t, file))
	}
	return all.String()
}

// sources are the Go files of a folder and of those in it, without tests and without the simulators, whose
// folders end in test.
func sources(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(Root(t), folder), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasSuffix(path, "test"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			all.WriteString(contentOf(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
