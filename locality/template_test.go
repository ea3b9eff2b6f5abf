package locality

import (
	"errors"
	"strings"
	"testing"
)

func TestTemplateIsFilledInPlaceOfItsNames(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "{a}": "<a>", "x{a}y{b/c.d}z": "x<a>y<b/c.d>z", "{a}{a}": "<a><a>",
	} {
		tpl, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpl.Fill(func(name string) (string, error) { return "<" + name + ">", nil })
		if err != nil || got != want {
			t.Errorf("%q is filled as %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestTemplateWithAnEmptyValueIsEmpty(t *testing.T) {
	tpl, err := ParseTemplate("site/{row}/{rack}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tpl.Fill(func(name string) (string, error) { return strings.TrimPrefix(name, "row"), nil })
	if got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	wrong := errors.New("wrong")
	if got, err := tpl.Fill(func(string) (string, error) { return "x", wrong }); got != "" || !errors.Is(err, wrong) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTemplateWithALonelyBraceIsRefused(t *testing.T) {
	for _, text := range []string{"{", "}", "{}", "a}b", "{a", "{a{b}}", "{a}}", strings.Repeat("x", 1025)} {
		if _, err := ParseTemplate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
