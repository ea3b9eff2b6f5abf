package walk

import (
	"fmt"
	"strings"
)

const anything = "…"

// mismatch compares what was printed with what a page says that is printed, and returns what
// is wrong; "": nothing.
func mismatch(want, got string) string {
	wants, gots := printedLines(want), printedLines(got)
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

// lineMatches reports whether a line is as a pattern has it, in which … is anything.
func lineMatches(pattern, line string) bool {
	parts := strings.Split(pattern, anything)
	if len(parts) == 1 {
		return pattern == line
	}
	line, ok := strings.CutPrefix(line, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(line, part)
		if !ok {
			return false
		}
		line = after
	}
	return strings.HasSuffix(line, parts[len(parts)-1])
}
