package manpage

import (
	"strings"
	"testing"
)

func text(s string) string {
	var p Page
	p.Section("S")
	p.Text(s)
	return strings.TrimPrefix(string(p.Bytes()), ".SH \"S\"\n")
}

func TestParagraphsExamplesAndListsKeepTheirShape(t *testing.T) {
	got := text("One paragraph\nof two lines.\n\nAnother one:\n\n\tas it is  here\n\n\t.and here\n\nThings:\n\n  - a thing\n  - another\n\nThe end.")
	want := `One paragraph of two lines.
.PP
Another one:
.PP
.RS 4
.nf
as it is  here
\&
\&.and here
.fi
.RE
.PP
Things:
.IP \(bu 3
a thing
.IP \(bu 3
another
.PP
The end.
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNothingInATextIsTakenForARequest(t *testing.T) {
	for given, want := range map[string]string{
		".SH evil":       `\&.SH evil`,
		"'br":            `\(aqbr`,
		`C:\new \fBbold`: `C:\(rsnew \(rsfBbold`,
		"--flag a-b":     `\-\-flag a\-b`,
		"~/x ^ `y`":      `\(ti/x \(ha \(gay\(ga`,
		"Zürich … 1 × 2": `Z\[u00FC]rich \[u2026] 1 \[u00D7] 2`,
	} {
		if got := text(given); got != want+"\n" {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
	long := strings.Repeat("word ", 15) + "and .then more of it" // wraps before .then, or near
	for line := range strings.Lines(text(long + " " + strings.Repeat(".dot ", 60))) {
		if strings.HasPrefix(line, ".") || len(line) > columns+3 {
			t.Errorf("line %q", line)
		}
	}
}

func TestPageHasItsParts(t *testing.T) {
	var p Page
	p.Title("waggle-serve", 1, "2026-11-22", `waggle "1"`, "Commands")
	p.Name("waggle-serve", "answer clients")
	p.Section("SYNOPSIS")
	p.Synopsis("waggle serve [flags]")
	p.Section("OPTIONS")
	p.Item("--store URL", "Where swarms are kept.\n\nMore of it.")
	p.Item("--bare", "")
	p.Section("EXAMPLES")
	p.Example("  waggle serve\n    deeper")
	want := `.TH "WAGGLE\-SERVE" 1 "2026-11-22" "waggle \(dq1\(dq" "Commands"
.nh
.ad l
.SH "NAME"
waggle\-serve \- answer clients
.SH "SYNOPSIS"
.nf
waggle serve [flags]
.fi
.SH "OPTIONS"
.TP
.B \-\-store URL
Where swarms are kept.
.RS
.PP
More of it.
.RE
.TP
.B \-\-bare
.SH "EXAMPLES"
.RS 4
.nf
waggle serve
  deeper
.fi
.RE
`
	if got := string(p.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
