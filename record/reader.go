package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxLine is the length of the longest line, in bytes.
const maxLine = 16 << 10

// Read yields the announces of a file in order, and stops at the first that it cannot
// read, with an error that names the line. name is the file's, for errors. Empty lines
// are passed over. A last line that has no end and cannot be read is, too: whoever
// wrote it was interrupted. The announce is valid until the next one is asked for.
func Read(r io.Reader, name string) iter.Seq2[*Announce, error] {
	return func(yield func(*Announce, error) bool) {
		in := bufio.NewReaderSize(r, maxLine)
		var a Announce
		for number := 1; ; number++ {
			text, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				err = errors.New("the line is longer than 16 KiB: is this a file of announces?")
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, fmt.Errorf("%s:%d: %w", name, number, err))
				return
			}
			if wrong := a.parse(text); wrong == nil {
				if !yield(&a, nil) {
					return
				}
			} else if !blank(text) && err == nil {
				yield(nil, fmt.Errorf("%s:%d: %w", name, number, wrong))
				return
			}
			if err != nil {
				return
			}
		}
	}
}

func blank(text []byte) bool {
	for _, c := range text {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}
