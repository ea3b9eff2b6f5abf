package main

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// quoted is a code span, and words what of one does not vary: clauses are joined by
// what wraps an error.
var (
	quoted = regexp.MustCompile("`([^`]+)`")
	words  = regexp.MustCompile(`…|: | ?[()]+ ?`)
)

func TestMessagesThatTheManualExplainsAreStillPrinted(t *testing.T) {
	manual, err := os.ReadFile("../../docs/trouble.md")
	if err != nil {
		t.Fatal(err)
	}
	printed := printableWords(t)
	messages := 0
	for n, line := range strings.Split(string(manual), "\n") {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) < 3 {
			continue
		}
		for _, span := range quoted.FindAllStringSubmatch(cells[0], -1) {
			message := span[1]
			if !strings.Contains(message, " ") || strings.HasPrefix(message, "waggle ") || strings.HasPrefix(message, "kill ") {
				continue // a key, a metric or a command
			}
			messages++
			for _, part := range words.Split(message, -1) {
				if part = strings.TrimSpace(part); !strings.Contains(printed, part) {
					t.Errorf("docs/trouble.md:%d: %q: nothing in the source says %q", n+1, message, part)
				}
			}
		}
	}
	if messages < 100 {
		t.Errorf("%d messages were found: are the tables other ones now?", messages)
	}
}

// printableWords returns all strings of the program, those that are joined by + as one.
func printableWords(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || entry.Name() == ".git"):
			return fs.SkipDir
		case entry.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err == nil {
			appendStrings(&all, source)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// appendStrings appends the strings of a Go file, each after a line end.
func appendStrings(to *strings.Builder, source []byte) {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", -1, len(source)), source, nil, 0)
	joined := false
	for {
		switch _, tok, literal := s.Scan(); tok {
		case token.EOF:
			return
		case token.ADD:
			joined = true
		case token.STRING:
			text, err := strconv.Unquote(literal)
			if err != nil {
				continue
			}
			if !joined {
				to.WriteByte('\n')
			}
			to.WriteString(text)
			joined = false
		default:
			joined = false
		}
	}
}
