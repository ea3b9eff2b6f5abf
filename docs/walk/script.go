package walk

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	background = regexp.MustCompile(`^(.*[^&|>])&(\s*(?:#.*)?)$`)
	elsewhere  = regexp.MustCompile(`2>|&>`) // where a command writes its errors to
)

// wait is how long a page waits for a tracker: on a machine that does other things, too, it is not enough.
var wait = regexp.MustCompile(`--wait [0-9]+s\b`)

// script returns the commands of a block, as they are run: on the lines that they have in the page,
// so that bash names these, and those that go on write into the file log what they print, unless
// the page sends it elsewhere. They wait with more patience.
func (b Block) script(log string) string {
	var s strings.Builder
	s.WriteString(strings.Repeat("\n", b.Line-1))
	logical := "" // the lines that a backslash joins
	for line := range strings.Lines(b.Text) {
		line = strings.TrimSuffix(line, "\n")
		line = wait.ReplaceAllString(line, "--wait 2m")
		logical += line
		if m := background.FindStringSubmatch(line); m != nil {
			switch {
			case elsewhere.MatchString(logical): // both
			case strings.Contains(logical, ">"):
				line = fmt.Sprintf("%s2>>'%s' &%s", m[1], log, m[2])
			default:
				line = fmt.Sprintf("%s>>'%s' 2>&1 &%s", m[1], log, m[2])
			}
		}
		if !strings.HasSuffix(line, `\`) {
			logical = ""
		}
		s.WriteString(line + "\n")
	}
	return s.String()
}
