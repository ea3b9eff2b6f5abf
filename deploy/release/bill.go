package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// bill is what a binary is made of, as CycloneDX 1.6 has it.
type bill struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
	Relations   []relation  `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Hashes     []hash     `json:"hashes,omitempty"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type relation struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// bill says what a binary is made of, as the binary itself has it. It has no serial number,
// which would be another one each time.
func (s *source) bill(t target, info *debug.BuildInfo, digest [sha256.Size]byte) ([]byte, error) {
	whole := component{
		Type: "application", Name: "waggle", Version: s.version,
		PURL:       fmt.Sprintf("pkg:generic/waggle@%s?arch=%s&os=%s", s.version, t.arch, t.os),
		Hashes:     []hash{{"SHA-256", hex.EncodeToString(digest[:])}},
		Properties: []property{{"waggle:commit", s.commit}},
	}
	whole.Ref = whole.PURL
	b := bill{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata:   metadata{Timestamp: s.time.Format(time.RFC3339), Component: whole},
		Components: []component{library("std", strings.TrimPrefix(info.GoVersion, "go"), "")},
	}
	for _, module := range info.Deps {
		module = replaced(module)
		b.Components = append(b.Components, library(module.Path, module.Version, module.Sum))
	}
	on := make([]string, len(b.Components))
	for i, c := range b.Components {
		on[i] = c.Ref
	}
	b.Relations = []relation{{whole.Ref, on}}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(b)
	return out.Bytes(), err
}

// replaced returns the module that is in the binary.
func replaced(module *debug.Module) *debug.Module {
	if module.Replace != nil {
		return module.Replace
	}
	return module
}

// library returns a Go module; its sum is that of go.sum.
func library(name, version, sum string) component {
	c := component{Type: "library", Name: name, Version: version, PURL: "pkg:golang/" + name + "@" + strings.ReplaceAll(version, "+", "%2B")}
	c.Ref = c.PURL
	if sum != "" {
		c.Properties = []property{{"go:sum", sum}}
	}
	return c
}

// legal matches the names of files with the terms of a module.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-_.].*)?$`)

// licences returns the terms of all modules that are in a binary for one of the targets.
func (s *source) licences(ctx context.Context, targets []target) (file, error) {
	root, err := s.goCommand(ctx, here(), "env", "GOROOT")
	if err != nil {
		return file{}, err
	}
	folders := map[string]string{"Go, its standard library": strings.TrimSpace(string(root))}
	names := []string{}
	for _, t := range targets {
		const format = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}`
		list, err := s.goCommand(ctx, t, "list", "-deps", "-tags="+tags, "-f", format, "./cmd/waggle")
		if err != nil {
			return file{}, err
		}
		for line := range strings.Lines(string(list)) {
			if name, folder, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && folders[name] == "" {
				folders[name], names = folder, append(names, name)
			}
		}
	}
	slices.Sort(names)
	var b bytes.Buffer
	b.WriteString("waggle has parts of others, under these terms.\n")
	for _, name := range append([]string{"Go, its standard library"}, names...) {
		terms, err := termsOf(folders[name])
		if err != nil {
			return file{}, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), name, terms)
	}
	return file{path: "LICENSES-OF-OTHERS.txt", mode: 0o644, data: b.Bytes()}, nil
}

// termsOf returns the terms that a module's folder holds.
func termsOf(folder string) (string, error) {
	entries, err := os.ReadDir(folder) // in order
	if err != nil {
		return "", err
	}
	var terms []string
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !legal.MatchString(entry.Name()) || path.Ext(entry.Name()) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return "", err
		}
		terms = append(terms, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	if terms == nil {
		return "", fmt.Errorf("%s has no file with its terms", folder)
	}
	return strings.Join(terms, "\n\n"), nil
}
