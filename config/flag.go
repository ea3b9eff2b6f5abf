package config

import (
	"strings"

	"github.com/spf13/pflag"
)

const fileFlag = "config"

// AddFlags registers --config and a flag for every key. They take any text: [Load] reads it, and
// reports what is wrong with it together with everything else.
func AddFlags(flags *pflag.FlagSet) {
	flags.String(fileFlag, "", "configuration `file`, in YAML (see waggle config print)")
	for i := range keys() {
		k := &keys()[i]
		flags.Var(&flagValue{key: k, text: k.initial}, k.flag(), k.usage)
	}
}

// firstSentence is that of a key's doc comment.
func firstSentence(doc string) string {
	text := strings.Join(strings.Fields(doc), " ")
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// flags lays the flags that were given over what is there.
func (l *loader) flags(flags *pflag.FlagSet) {
	if flags == nil {
		return
	}
	for _, k := range l.keys {
		f := flags.Lookup(k.flag())
		if f == nil || !f.Changed {
			continue
		}
		l.setText(k, f.Value.String(), Source{Name: "--" + f.Name})
	}
}

// flagValue is the text that a flag was given; that of a list grows with every repetition.
type flagValue struct {
	key   *key
	text  string
	given bool
}

func (v *flagValue) String() string { return v.text }

// Set never fails, so that a wrong value is reported by Load.
func (v *flagValue) Set(text string) error {
	if v.key.list && v.given && v.text != "" {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// Type is shown in the help, after the name of the flag.
func (v *flagValue) Type() string {
	if v.key.list {
		return v.key.kind.name + ",..."
	}
	if len(v.key.oneof) > 0 {
		return strings.Join(v.key.oneof, "|")
	}
	return v.key.kind.name
}
