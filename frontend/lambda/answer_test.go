package lambda

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTextTakesNoMoreOfJSONThanIsCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.RuneFrom([]rune("\"\\/<>&\x00\x1f\b\f\n\r\t\u2028\u2029\u20ac\x7f")))).Draw(t, "text")
		made, err := marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(made) - len("\"\"\n"); n > mostInJSON([]byte(text)) {
			t.Errorf("%q takes %d bytes, counted as %d", text, n, mostInJSON([]byte(text)))
		}
	})
}
