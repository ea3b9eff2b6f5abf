package walk

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Page is a page of the manual.
type Page struct {
	Path   string // from the root of the checkout: docs/racks.md
	Name   string // of its walk: racks
	Lines  []string
	Blocks []Block
}

// A Block is what stands between two fences.
type Block struct {
	Line  int    // of its first line within the fences; the first of a page is 1
	Kind  string // what stands behind the fence that opens it: sh, text, yaml; "": nothing
	Text  string
	Note  string // what the comment above it says; "": there is none
	Prose string // what stands between it and the block above; blank lines are left out
}

const notRun = "not run here: "

// Unrun returns why a block is not run; "": it is.
func (b Block) Unrun() string {
	reason, ok := strings.CutPrefix(b.Note, notRun)
	if !ok {
		return ""
	}
	return reason
}

// Fails reports whether the last command of a block fails.
func (b Block) Fails() bool { return b.Note == "fails" }

// Pages reads README.md and the pages in docs of the checkout at root.
func Pages(root string) ([]Page, error) {
	paths, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	var pages []Page
	for _, path := range append([]string{filepath.Join(root, "README.md")}, paths...) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		page, err := parse(filepath.ToSlash(name), string(text))
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

var comment = regexp.MustCompile(`^<!-- (.*) -->$`)

// parse takes a page apart.
func parse(path, text string) (Page, error) {
	page := Page{
		Path:  path,
		Name:  strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(path, "docs/"), ".md"), "/", "-"),
		Lines: strings.Split(text, "\n"),
	}
	if path == "docs/README.md" {
		page.Name = "contents"
	}
	var open *Block
	var lines, between []string
	for i, line := range page.Lines {
		kind, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open, lines = &Block{Line: i + 2, Kind: kind, Prose: strings.Join(between, "\n")}, nil
			if last := len(between) - 1; last >= 0 {
				if m := comment.FindStringSubmatch(between[last]); m != nil {
					open.Note = m[1]
				}
			}
		case fence && kind != "":
			return Page{}, fmt.Errorf("%s:%d: a block opens within the one of line %d", path, i+1, open.Line-1)
		case fence:
			open.Text = strings.Join(lines, "\n") + "\n"
			page.Blocks = append(page.Blocks, *open)
			open, between = nil, nil
		case open != nil:
			lines = append(lines, line)
		case strings.TrimSpace(line) != "":
			between = append(between, strings.TrimSpace(line))
		}
	}
	if open != nil {
		return Page{}, fmt.Errorf("%s:%d: this block is never closed", path, open.Line-1)
	}
	return page, nil
}

// Printed returns the block that says what the block at i prints.
func (p Page) Printed(i int) (Block, bool) {
	if i+1 == len(p.Blocks) {
		return Block{}, false
	}
	b := p.Blocks[i+1]
	attached := b.Prose == "" || !strings.Contains(b.Prose, "\n") && strings.HasSuffix(b.Prose, "prints:")
	return b, p.Blocks[i].Kind == "sh" && b.Kind == "text" && attached
}

// Prose returns the lines of a page, of which those of blocks are empty.
func (p Page) Prose() []string {
	lines := slices.Clone(p.Lines)
	for _, b := range p.Blocks {
		for i := range strings.Count(b.Text, "\n") {
			lines[b.Line-1+i] = ""
		}
	}
	return lines
}

// problems returns what is wrong with the blocks of a page.
func (p Page) problems() []string {
	var wrong []string
	for i, b := range p.Blocks {
		at := fmt.Sprintf("%s:%d: ", p.Path, b.Line)
		if b.Kind == "text" {
			if i == 0 {
				wrong = append(wrong, at+"no block of commands prints this: leave out the word text")
			} else if _, ok := p.Printed(i - 1); !ok {
				wrong = append(wrong, at+`no block of commands right above prints this: leave out the word text, or what stands between, but for a line that ends in "prints:"`)
			}
		}
		if strings.HasPrefix(b.Note, strings.TrimSpace(notRun)) && strings.TrimSpace(strings.TrimPrefix(b.Note, strings.TrimSpace(notRun))) == "" {
			wrong = append(wrong, at+"why is it not run?")
		}
		if (b.Unrun() != "" || b.Fails()) && b.Kind != "sh" {
			wrong = append(wrong, at+"only blocks that are marked sh are run")
		}
	}
	return wrong
}
