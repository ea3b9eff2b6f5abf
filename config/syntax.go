package config

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// complaints puts what the YAML parser says into words for whoever wrote the file.
var complaints = []struct{ begins, say string }{
	{"mapping values are not allowed", `a ":" where none can be; indent the line as the lines beside it, and put a value that ends in ":" in quotes`},
	{"did not find expected key", "this is indented unlike the lines that it belongs to"},
	{"did not find expected '-' indicator", "this is indented unlike the list that it belongs to"},
	{"did not find expected ',' or", `a list or a { is not closed, or a value in it needs quotes, as in [":6969"]`},
	{"did not find expected node content", `a value is missing or needs quotes, as in [":6969"]`},
	{"could not find expected ':'", `a key without ":" after it`},
	{"found unexpected end of stream", "a quote is not closed"},
	{"unknown anchor", "a value that begins with * needs quotes"},
	{"found character that cannot start", "a value that begins with @, % or ` needs quotes"},
}

// syntax reports that a file is not YAML.
func (f *file) syntax(data []byte, err error) {
	if line := tabbed(data); line > 0 {
		f.add(Source{f.path, line}, "a tab before the key; indent with spaces")
		return
	}
	line, message := where(data, err)
	for _, c := range complaints {
		if strings.HasPrefix(message, c.begins) {
			message = c.say
		}
	}
	f.add(Source{f.path, line}, "%s", message)
}

// tabbed is the first line that a tab indents, or 0.
func tabbed(data []byte) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		text := bytes.TrimLeft(line, " \t")
		if len(text) > 0 && bytes.ContainsRune(line[:len(line)-len(text)], '\t') {
			return i + 1
		}
	}
	return 0
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// where returns the line of a syntax error, from 1, and its message without it.
//
// The parser leaves out the line of a mistake on the first, counts lines from 0 in what its upper
// half finds ("did not find expected ..."), and blames the first line of a block for what is wrong
// far below it.
func where(data []byte, err error) (line int, message string) {
	parts := yamlError.FindStringSubmatch(fmt.Sprint(err))
	if parts == nil {
		return 1, err.Error()
	}
	message = parts[2]
	switch {
	case blamesBlock(message):
		return firstFailing(data, message), message
	case parts[1] == "":
		return 1, message
	}
	line, _ = strconv.Atoi(parts[1])
	if strings.HasPrefix(message, "did not find expected") {
		line++
	}
	return line, message
}

func blamesBlock(message string) bool {
	return strings.HasPrefix(message, "did not find expected key") ||
		strings.HasPrefix(message, "did not find expected '-'") ||
		strings.HasPrefix(message, "unknown anchor")
}

// firstFailing is the line at whose end the parser first complains so. It holds for messages that
// more lines do not take back, and therefore can be found in a logarithm of the lines.
func firstFailing(data []byte, message string) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	end := 0
	ends := make([]int, len(lines))
	for i, line := range lines {
		end += len(line)
		ends[i] = end
	}
	i := sort.Search(len(lines)-1, func(i int) bool {
		_, err := decode(data[:ends[i]])
		return err != nil && strings.HasSuffix(err.Error(), message)
	})
	return i + 1
}
