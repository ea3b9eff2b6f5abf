package config

import (
	"reflect"
	"strings"
	"testing"
)

// FuzzConfig reads any bytes as a file. Either it is a configuration that is printed and read back
// the same, or every problem is one short line that begins with the file's name.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(printed(&Loaded{Config: Default()})))
	f.Add([]byte(everySource))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newLoader()
		l.file("waggle.yaml", data)
		l.relations()
		if err := l.err(); err != nil {
			checkProblems(t, err)
			return
		}
		text := printed(l.loaded)
		back, err := read(text)
		if err != nil || !reflect.DeepEqual(back, l.loaded.Config) {
			t.Errorf("%+v\nis read back as\n%+v, %v\nfrom\n%s", l.loaded.Config, back, err, text)
		}
	})
}

func checkProblems(t *testing.T, err error) {
	lines := problemsOf(err)
	if len(lines) > maxProblems+1 {
		t.Errorf("%d problems", len(lines))
	}
	for i, line := range lines {
		if i < maxProblems && !strings.HasPrefix(line, "waggle.yaml:") || len(line) > 500 {
			t.Errorf("problem %q", line)
		}
	}
}
