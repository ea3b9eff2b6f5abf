package bittorrent

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBencodeReadsTheFourKinds(t *testing.T) {
	v := mustParseBencode(t, "d4:infod6:lengthi-42ee4:listli1e2:abee")
	if v.Kind() != KindDict {
		t.Fatalf("kind %v, want dictionary", v.Kind())
	}
	info, _ := v.Get("info")
	if got := string(info.Raw()); got != "d6:lengthi-42ee" {
		t.Errorf("raw info %q", got)
	}
	length, _ := info.Get("length")
	if n, ok := length.Int(); !ok || n != -42 {
		t.Errorf("length %d, %v", n, ok)
	}
	list, _ := v.Get("list")
	var texts []string
	for item := range list.List() {
		texts = append(texts, item.Kind().String()+" "+string(item.Raw()))
	}
	if want := []string{"integer i1e", "string 2:ab"}; !slices.Equal(texts, want) {
		t.Errorf("list %q, want %q", texts, want)
	}
}

func TestBencodeThatIsMalformedIsRefusedWithItsFault(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("l", n) + strings.Repeat("e", n) }
	for _, tt := range []struct {
		input string
		want  error
	}{
		{"", ErrBencodeEnd},
		{"i", ErrBencodeEnd},
		{"i1", ErrBencodeEnd},
		{"i-", ErrBencodeEnd},
		{"l", ErrBencodeEnd},
		{"li1e", ErrBencodeEnd},
		{"d", ErrBencodeEnd},
		{"d1:a", ErrBencodeEnd},
		{"d1:ai1e", ErrBencodeEnd},
		{"3", ErrBencodeEnd},
		{"3:ab", ErrBencodeEnd},
		{"99999999999999999999999999:ab", ErrBencodeEnd},
		{"18446744073709551617:a", ErrBencodeEnd},
		{"i1ei2e", ErrBencodeTrailing},
		{"1:a\n", ErrBencodeTrailing},
		{"e", ErrBencodeKind},
		{"x", ErrBencodeKind},
		{"-1:a", ErrBencodeKind},
		{"lxe", ErrBencodeKind},
		{"ie", ErrBencodeInt},
		{"i-e", ErrBencodeInt},
		{"i-0e", ErrBencodeInt},
		{"i-01e", ErrBencodeInt},
		{"i00e", ErrBencodeInt},
		{"i01e", ErrBencodeInt},
		{"i+1e", ErrBencodeInt},
		{"i1.5e", ErrBencodeInt},
		{"i 1e", ErrBencodeInt},
		{"i9223372036854775808e", ErrBencodeInt},
		{"i-9223372036854775809e", ErrBencodeInt},
		{"i99999999999999999999999e", ErrBencodeInt},
		{"01:a", ErrBencodeLength},
		{"00:", ErrBencodeLength},
		{"1a:a", ErrBencodeLength},
		{"di1e1:ae", ErrBencodeKey},
		{"dlei1ee", ErrBencodeKey},
		{"d1:ae", ErrBencodeKind},
		{"d1:ai1e1:ai2ee", ErrBencodeDuplicate},
		{"d0:i1e0:i2ee", ErrBencodeDuplicate},
		{"d1:bi1e1:ai2e1:bi3ee", ErrBencodeDuplicate},
		{deep(MaxBencodeDepth + 1), ErrBencodeDepth},
		{strings.Repeat("l", 1<<20), ErrBencodeDepth},
		{strings.Repeat("d1:a", 1<<20), ErrBencodeDepth},
	} {
		if _, err := ParseBencode([]byte(tt.input)); !errors.Is(err, tt.want) {
			t.Errorf("%.40q: error %v, want %v", tt.input, err, tt.want)
		}
	}
	if _, err := ParseBencode([]byte(deep(MaxBencodeDepth))); err != nil {
		t.Errorf("%d lists within each other: %v", MaxBencodeDepth, err)
	}
}

func TestBencodeIntegersSpan64Bits(t *testing.T) {
	for _, want := range []int64{0, 1, -1, 10, -10, math.MaxInt64, math.MinInt64} {
		v := mustParseBencode(t, string(AppendInt(nil, want)))
		if got, ok := v.Int(); !ok || got != want {
			t.Errorf("%d came back as %d, %v", want, got, ok)
		}
	}
}

func TestBencodeKeysOutOfOrderAreReadAsTheyStand(t *testing.T) {
	const input = "d1:bi1e1:ai2ee"
	v := mustParseBencode(t, input)
	if string(v.Raw()) != input {
		t.Errorf("raw %q, want %q", v.Raw(), input)
	}
	var keys []string
	for key := range v.Dict() {
		keys = append(keys, string(key))
	}
	if !slices.Equal(keys, []string{"b", "a"}) {
		t.Errorf("keys %q", keys)
	}
	if a, ok := v.Get("a"); !ok || string(a.Raw()) != "i2e" {
		t.Errorf("a is %q, %v", a.Raw(), ok)
	}
}

func TestBencodeDictionaryWithManyKeysMustBeSorted(t *testing.T) {
	sorted := []byte("d")
	for i := range 3 * maxUnsortedKeys {
		sorted = AppendInt(AppendString(sorted, fmt.Sprintf("%08d", i)), 1)
	}
	unsorted := AppendInt(AppendString(slices.Clone(sorted), ""), 1)
	if _, err := ParseBencode(append(sorted, 'e')); err != nil {
		t.Errorf("sorted: %v", err)
	}
	if _, err := ParseBencode(append(unsorted, 'e')); !errors.Is(err, ErrBencodeUnsorted) {
		t.Errorf("unsorted: %v, want %v", err, ErrBencodeUnsorted)
	}
}

func TestBencodePrefixLeavesTheRest(t *testing.T) {
	v, rest, err := ParseBencodePrefix([]byte("d1:ai1eepiece"))
	if err != nil || string(v.Raw()) != "d1:ai1ee" || string(rest) != "piece" {
		t.Errorf("%q, rest %q, %v", v.Raw(), rest, err)
	}
	if cap(v.Raw()) != len(v.Raw()) {
		t.Error("appending to Raw would overwrite the rest")
	}
}

func TestBencodeAccessorsOfTheWrongKindAnswerNothing(t *testing.T) {
	for _, input := range []string{"", "1:a", "i1e", "l1:ae", "d1:a1:be"} {
		var v Value
		if input != "" {
			v = mustParseBencode(t, input)
		}
		if _, ok := v.Bytes(); ok != (v.Kind() == KindBytes) {
			t.Errorf("%q: Bytes %v", input, ok)
		}
		if _, ok := v.Int(); ok != (v.Kind() == KindInt) {
			t.Errorf("%q: Int %v", input, ok)
		}
		if _, ok := v.Get("a"); ok != (v.Kind() == KindDict) {
			t.Errorf("%q: Get %v", input, ok)
		}
		if n := len(slices.Collect(v.List())); (n == 1) != (v.Kind() == KindList) {
			t.Errorf("%q: List yields %d", input, n)
		}
		if n := len(maps.Collect(texts(v))); (n == 1) != (v.Kind() == KindDict) {
			t.Errorf("%q: Dict yields %d", input, n)
		}
	}
}

func TestBencodeIterationStopsWhenAsked(t *testing.T) {
	for range mustParseBencode(t, "li1ei2ee").List() {
		break
	}
	for range mustParseBencode(t, "d1:ai1e1:bi2ee").Dict() {
		break
	}
}

func TestBencodeParsingAllocatesNothing(t *testing.T) {
	sorted := []byte("d8:announce3:url4:infod5:filesld6:lengthi1e4:pathl1:aeee4:name1:xee")
	unsorted := []byte("d4:name1:x4:infod1:zi1e1:ai2eee")
	broken := []byte("d4:name1:x4:infod1:zi1e1:ai2e1:zleee")
	var sum int
	allocs := testing.AllocsPerRun(100, func() {
		v, _ := ParseBencode(sorted)
		info, _ := v.Get("info")
		files, _ := info.Get("files")
		for file := range files.List() {
			length, _ := file.Get("length")
			n, _ := length.Int()
			sum += int(n)
		}
		v, _ = ParseBencode(unsorted)
		name, _ := v.Get("name")
		text, _ := name.Bytes()
		sum += len(text)
		if _, err := ParseBencode(broken); err != ErrBencodeDuplicate { //nolint:errorlint // errors.Is would allocate, which is what is counted
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestBencodeAppendingToRoomAllocatesNothing(t *testing.T) {
	room := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(100, func() {
		room = AppendString(room[:0], "interval")
		room = AppendInt(room, 1800)
		room = AppendBytes(room, []byte("peers"))
	})
	if allocs != 0 || string(room) != "8:intervali1800e5:peers" {
		t.Errorf("%v allocations, %q", allocs, room)
	}
}

func TestBencodeRandomValueComesBackEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawValue(t, 5)
		encoded := appendAny(nil, want)
		v, err := ParseBencode(encoded)
		if err != nil {
			t.Fatalf("%q: %v", encoded, err)
		}
		if got := anyOf(v); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Fatalf("%#v came back as %#v", want, got)
		}
	})
}

func FuzzBencode(f *testing.F) {
	for _, seed := range []string{
		"", "i0e", "i-9223372036854775808e", "0:", "4:spam", "le", "de", "l4:spami-3ee",
		"d1:bi1e1:ai2ee", "d1:ai1e1:ai2ee", "d0:d0:d0:leeee", "18446744073709551615:", "i-0e", "02:ab",
		"d8:announce15:udp://host:6969/4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
		"d8:intervali1800e5:peers6:abcdefe", "d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1eeee",
		strings.Repeat("l", 65) + strings.Repeat("e", 65),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := ParseBencodePrefix(b)
		if err != nil {
			if v.Kind() != KindNone || rest != nil {
				t.Fatalf("a value with the error %v", err)
			}
			return
		}
		if string(v.Raw())+string(rest) != string(b) {
			t.Fatalf("raw %q and rest %q of %q", v.Raw(), rest, b)
		}
		if walked := appendWalk(nil, v); !bytes.Equal(walked, v.Raw()) {
			t.Fatalf("walking %q visits %q", v.Raw(), walked)
		}
		encoded := appendAny(nil, anyOf(v))
		again, err := ParseBencode(encoded)
		if err != nil {
			t.Fatalf("%q, sorted %q: %v", v.Raw(), encoded, err)
		}
		if !bytes.Equal(appendAny(nil, anyOf(again)), encoded) {
			t.Fatalf("%q is not what is read from it", encoded)
		}
	})
}

func BenchmarkBencodeParse(b *testing.B) {
	input := []byte("d5:filesl")
	for i := range 1000 {
		input = append(input, "d6:lengthi1048576e4:pathl6:folder"...)
		input = append(AppendString(input, "file"+strconv.Itoa(i)), "ee"...)
	}
	input = append(input, "ee"...)
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		if _, err := ParseBencode(input); err != nil {
			b.Fatal(err)
		}
	}
}

func mustParseBencode(t *testing.T, s string) Value {
	t.Helper()
	v, err := ParseBencode([]byte(s))
	if err != nil {
		t.Fatalf("%.60q: %v", s, err)
	}
	return v
}

// texts is Dict with keys that can be those of a map.
func texts(v Value) func(func(string, Value) bool) {
	return func(yield func(string, Value) bool) {
		for key, value := range v.Dict() {
			if !yield(string(key), value) {
				return
			}
		}
	}
}

// anyOf turns a value into string, int64, []any or map[string]any.
func anyOf(v Value) any {
	switch v.Kind() {
	case KindBytes:
		text, _ := v.Bytes()
		return string(text)
	case KindInt:
		n, _ := v.Int()
		return n
	case KindList:
		list := []any{}
		for item := range v.List() {
			list = append(list, anyOf(item))
		}
		return list
	}
	dict := map[string]any{}
	for key, value := range v.Dict() {
		dict[string(key)] = anyOf(value)
	}
	return dict
}

// appendAny encodes what anyOf returns, keys sorted.
func appendAny(dst []byte, value any) []byte {
	switch value := value.(type) {
	case string:
		return AppendString(dst, value)
	case int64:
		return AppendInt(dst, value)
	case []any:
		dst = append(dst, 'l')
		for _, item := range value {
			dst = appendAny(dst, item)
		}
		return append(dst, 'e')
	}
	dict := value.(map[string]any)
	dst = append(dst, 'd')
	for _, key := range slices.Sorted(maps.Keys(dict)) {
		dst = appendAny(AppendString(dst, key), dict[key])
	}
	return append(dst, 'e')
}

// appendWalk encodes what the accessors yield, in their order.
func appendWalk(dst []byte, v Value) []byte {
	switch v.Kind() {
	case KindBytes:
		text, _ := v.Bytes()
		return AppendBytes(dst, text)
	case KindInt:
		n, _ := v.Int()
		return AppendInt(dst, n)
	case KindList:
		dst = append(dst, 'l')
		for item := range v.List() {
			dst = appendWalk(dst, item)
		}
		return append(dst, 'e')
	}
	dst = append(dst, 'd')
	for key, value := range v.Dict() {
		dst = appendWalk(AppendBytes(dst, key), value)
	}
	return append(dst, 'e')
}

func drawValue(t *rapid.T, depth int) any {
	kinds := 4
	if depth == 0 {
		kinds = 2
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return string(rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "string"))
	case 1:
		return rapid.Int64().Draw(t, "integer")
	case 2:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	dict := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "keys") {
		key := string(rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "key"))
		dict[key] = drawValue(t, depth-1)
	}
	return dict
}
