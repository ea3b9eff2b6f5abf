package manpage

import (
	"bytes"
	"fmt"
	"go/doc/comment"
	"strings"
)

// columns is how wide a line of running text is in the source of a page.
const columns = 78

// Page is a manual page that is being written. Its zero value is an empty page.
type Page struct {
	b      bytes.Buffer
	begins bool // a section does: a paragraph needs no mark
}

// Title begins the page: its name, such as waggle-serve, its section, such as 1, the day
// it was made, empty where nobody knows, what it is part of, such as waggle 1.0, and the
// manual it belongs to.
func (p *Page) Title(name string, section int, date, source, manual string) {
	fmt.Fprintf(&p.b, ".TH %s %d %s %s %s\n", quoted(strings.ToUpper(name)), section, `"`+date+`"`, quoted(source), quoted(manual))
	p.b.WriteString(".nh\n.ad l\n") // flags and keys are not hyphenated, nor set apart
}

// Section begins a section, such as DESCRIPTION.
func (p *Page) Section(name string) {
	fmt.Fprintf(&p.b, ".SH %s\n", quoted(name))
	p.begins = true
}

// Name is the page's first section, which indexes of manuals read.
func (p *Page) Name(name, what string) {
	p.Section("NAME")
	fmt.Fprintf(&p.b, "%s \\- %s\n", escaped(name), escaped(what))
}

// Subsection begins a section within a section.
func (p *Page) Subsection(name string) {
	fmt.Fprintf(&p.b, ".SS %s\n", quoted(name))
	p.begins = true
}

// Text writes a text, as doc comments are written.
func (p *Page) Text(text string) {
	p.blocks(new(comment.Parser).Parse(text).Content)
}

// Synopsis writes how a command is called.
func (p *Page) Synopsis(line string) {
	fmt.Fprintf(&p.b, ".nf\n%s\n.fi\n", literal(line))
}

// Example writes lines as they are, such as commands.
func (p *Page) Example(lines string) {
	p.verbatim(lines)
}

// Item writes what is explained, such as a flag, in bold, and its text beneath.
func (p *Page) Item(term, text string) {
	fmt.Fprintf(&p.b, ".TP\n.B %s\n", literal(term))
	blocks := new(comment.Parser).Parse(text).Content
	if len(blocks) == 0 {
		return
	}
	p.begins = false
	if first, ok := blocks[0].(*comment.Paragraph); ok {
		p.wrapped(words(first.Text))
		blocks = blocks[1:]
	}
	if len(blocks) > 0 {
		p.b.WriteString(".RS\n")
		p.blocks(blocks)
		p.b.WriteString(".RE\n")
	}
}

// Bytes returns the page.
func (p *Page) Bytes() []byte { return p.b.Bytes() }

func (p *Page) blocks(blocks []comment.Block) {
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			p.paragraph()
			p.wrapped(words(block.Text))
		case *comment.Heading:
			p.Subsection(words(block.Text))
		case *comment.Code:
			p.verbatim(block.Text)
		case *comment.List:
			for _, item := range block.Items {
				mark := `\(bu`
				if item.Number != "" {
					mark = item.Number + "."
				}
				fmt.Fprintf(&p.b, ".IP %s 3\n", mark)
				p.begins = true
				p.blocks(item.Content)
			}
		}
	}
}

// paragraph begins one.
func (p *Page) paragraph() {
	if !p.begins {
		p.b.WriteString(".PP\n")
	}
	p.begins = false
}

// verbatim writes lines as they are, a little to the right.
func (p *Page) verbatim(lines string) {
	p.paragraph()
	p.b.WriteString(".RS 4\n.nf\n")
	for line := range strings.SplitSeq(strings.TrimRight(unindented(lines), "\n"), "\n") {
		if line == "" {
			p.b.WriteString("\\&\n")
			continue
		}
		p.b.WriteString(literal(line) + "\n")
	}
	p.b.WriteString(".fi\n.RE\n")
}

func (p *Page) wrapped(text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		word = escaped(word)
		if line != "" && len(line)+1+len(word) > columns {
			p.b.WriteString(guarded(line) + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		p.b.WriteString(guarded(line) + "\n")
	}
}

// words returns the text of a paragraph without its marks.
func words(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		switch t := t.(type) {
		case comment.Plain:
			b.WriteString(string(t))
		case comment.Italic:
			b.WriteString(string(t))
		case *comment.Link:
			b.WriteString(words(t.Text))
		case *comment.DocLink:
			b.WriteString("[" + words(t.Text) + "]")
		}
	}
	return b.String()
}

// unindented takes off what all lines are indented by.
func unindented(lines string) string {
	least := -1
	for line := range strings.SplitSeq(lines, "\n") {
		if trimmed := strings.TrimLeft(line, " \t"); trimmed != "" && (least < 0 || len(line)-len(trimmed) < least) {
			least = len(line) - len(trimmed)
		}
	}
	var b strings.Builder
	for line := range strings.SplitSeq(lines, "\n") {
		b.WriteString(line[min(max(least, 0), len(line)):] + "\n")
	}
	return b.String()
}

// marks are what roff takes for its own, or shows as another character than was meant.
var marks = strings.NewReplacer(
	`\`, `\(rs`, `-`, `\-`, `'`, `\(aq`, `^`, `\(ha`, `~`, `\(ti`, "`", `\(ga`,
)

// escaped returns text as roff shows it unchanged, but for a mark at its beginning.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range marks.Replace(text) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\[u%04X]`, r)
	}
	return b.String()
}

// literal is a line of its own.
func literal(line string) string { return guarded(escaped(line)) }

// guarded keeps the beginning of a line from being taken for a request.
func guarded(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}

// quoted is an argument of a request.
func quoted(text string) string {
	return `"` + strings.ReplaceAll(escaped(text), `"`, `\(dq`) + `"`
}
