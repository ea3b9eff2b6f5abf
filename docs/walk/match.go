package walk

import (
	"fmt"
	"regexp"
	"strings"
)

const anything = "…"

// mismatch compares what was printed with what a page says that is printed, and returns what
// is wrong; "": nothing.
func mismatch(want, got string) string {
	wants, gots := printedLines(want), printedLines(endOfJob.ReplaceAllString(got, ""))
	// reach[j]: the lines of want so far may have been the first j of got.
	reach := make([]bool, len(gots)+1)
	reach[0] = true
	for i, w := range wants {
		next := make([]bool, len(gots)+1)
		any := false
		for j := range next {
			if strings.TrimSpace(w) == anything {
				next[j] = reach[j] || j > 0 && next[j-1]
			} else {
				next[j] = j > 0 && reach[j-1] && lineMatches(w, gots[j-1])
			}
			any = any || next[j]
		}
		if !any {
			return describe(fmt.Sprintf("line %d is not printed where it should be: %s", i+1, w), got)
		}
		reach = next
	}
	if !reach[len(gots)] {
		return describe("more is printed than the page says", got)
	}
	return ""
}

func describe(what, got string) string {
	return what + "\nprinted was:\n" + strings.TrimRight(got, "\n")
}

// endOfJob is what bash says when it finds that a process was killed, at any time after that.
var endOfJob = regexp.MustCompile(`(?m)^\S+: line [0-9]+:\s+[0-9]+ (Killed|Terminated|Aborted|Hangup)\s.*\n?`)

// printedLines returns lines in which blanks, whose number depends on the widest cell of a table,
// are one, and without empty lines at the end.
func printedLines(s string) []string {
	s = strings.TrimRight(s, " \t\n")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return lines
}

var anythingIn = strings.NewReplacer(" "+anything+" ", " (?:.* )?", anything+" ", "(?:.* )?", " "+anything, "(?: .*)?", anything, ".*")

// lineMatches reports whether a line is as a pattern has it, in which … is anything.
func lineMatches(pattern, line string) bool {
	if !strings.Contains(pattern, anything) {
		return pattern == line
	}
	shape := anythingIn.Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("^" + shape + "$").MatchString(line)
}
