// Command build makes a caddy binary with continue_auth and the other modules that xcaddy.json
// names. It builds continue_auth from this checkout.
//
//	go run ./cmd/build [-o <file>]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/continue-auth/caddy-continue-auth"

// recipe is the content of xcaddy.json.
type recipe struct {
	// Caddy is Caddy's version, such as v2.11.9.
	Caddy string `json:"caddy"`

	// Dependencies are other Caddy modules to build in.
	Dependencies []dependency `json:"dependencies"`
}

type dependency struct {
	Module  string `json:"module"`
	Version string `json:"version"`
}

func main() {
	output := flag.String("o", "caddy", "the binary to write")
	flag.Parse()
	if err := build(*output); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(output string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(root, "xcaddy.json"))
	if err != nil {
		return err
	}
	r, err := parse(content)
	if err != nil {
		return fmt.Errorf("xcaddy.json: %w", err)
	}
	if output, err = filepath.Abs(output); err != nil {
		return err
	}
	xcaddy := exec.CommandContext(context.Background(), "go", append([]string{"tool", "xcaddy"}, r.arguments(root, output)...)...)
	xcaddy.Dir = root
	xcaddy.Env = append(os.Environ(), "XCADDY_SETCAP=0") // setcap would ask for sudo
	xcaddy.Stdout, xcaddy.Stderr = os.Stdout, os.Stderr
	return xcaddy.Run()
}

// checkout returns the folder of the go.mod that is in effect.
func checkout() (string, error) {
	gomod, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	path := strings.TrimSpace(string(gomod))
	if path == "" || path == os.DevNull {
		return "", fmt.Errorf("run this inside a checkout of %s", module)
	}
	return filepath.Dir(path), nil
}

func parse(content []byte) (r recipe, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return r, err
	}
	if r.Caddy == "" {
		return r, fmt.Errorf("caddy: name a version, such as v2.11.9")
	}
	for i, d := range r.Dependencies {
		if d.Module == "" || d.Version == "" {
			return r, fmt.Errorf("dependencies[%d]: name a module and a version", i)
		}
	}
	return r, nil
}

// arguments returns the arguments for xcaddy. A replacement needs some version, and v0.0.0 is not a
// release.
func (r recipe) arguments(root, output string) []string {
	arguments := []string{"build", r.Caddy, "--output", output, "--with", module + "@v0.0.0=" + root}
	for _, d := range r.Dependencies {
		arguments = append(arguments, "--with", d.Module+"@"+d.Version)
	}
	return arguments
}
