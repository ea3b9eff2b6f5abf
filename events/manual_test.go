package events

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/events/signature"
)

const manual = "../docs/events.md"

// blocks returns the blocks of code of the manual in a language.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(text), "```"+language+"\n") {
		code, _, _ := strings.Cut(part, "```")
		all = append(all, code)
	}
	return all[1:]
}

func verify(secret []byte, header string, body []byte, now time.Time) bool {
	var t string
	var signatures []string
	for _, part := range strings.Split(header, ",") {
		switch k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k {
		case "t":
			t = v
		case "v1":
			signatures = append(signatures, v)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	want := hex.EncodeToString(mac.Sum(nil))
	for _, s := range signatures {
		if hmac.Equal([]byte(s), []byte(want)) {
			return true
		}
	}
	return false
}

func TestGoOfTheManualIsThatOfThisTest(t *testing.T) {
	code := blocks(t, "go")
	source, err := os.ReadFile("manual_test.go")
	if err != nil || len(code) != 1 || !strings.Contains(string(source), code[0]) {
		t.Fatalf("%v; %d blocks; copy verify from here into %s", err, len(code), manual)
	}
}

// signatures are headers, and whether each is good for the body "{}" at a time.
func signatures(now time.Time) map[string]bool {
	body := []byte("{}")
	good := signature.Sign([][]byte{[]byte("another one, which is newer"), secret}, now, body)
	return map[string]bool{
		good:                                true,
		strings.ReplaceAll(good, ",", ", "): true,
		signature.Sign([][]byte{secret}, now.Add(-4*time.Minute), body): true,
		signature.Sign([][]byte{secret}, now.Add(-6*time.Minute), body): false,
		signature.Sign([][]byte{secret}, now.Add(6*time.Minute), body):  false,
		signature.Sign([][]byte{secret}, now, []byte("{ }")):            false,
		signature.Sign([][]byte{[]byte("of somebody else")}, now, body): false,
		strings.Replace(good, "t=", "t=1", 1):                           false,
		"":                                                              false,
		"t=1700000000":                                                  false,
		"v1=00":                                                         false,
		"t=x,v1=\u00e9\u00e9":                                           false,
	}
}

func TestRecipesOfTheManualAgreeWithTheTracker(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	all := signatures(now)
	list, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range all {
		if got := verify(secret, header, []byte("{}"), now); got != want {
			t.Errorf("Go: %q is %t", header, got)
		}
		if _, err := signature.Verify([][]byte{secret}, header, []byte("{}"), now, signature.Window); (err == nil) != want {
			t.Errorf("the tracker: %q: %v", header, err)
		}
	}
	script := blocks(t, "python")[0] + fmt.Sprintf(`
import json, sys
for header, want in json.load(sys.stdin).items():
    if verify(%q.encode(), header, b"{}", %d) != want:
        print("Python:", header, "is", not want)
`, secret, now.Unix())
	python := exec.CommandContext(t.Context(), "python3", "-c", script)
	python.Stdin = strings.NewReader(string(list))
	if out, err := python.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReceiverOfTheManualPrintsWhatItIsTold runs it as the manual has it.
func TestReceiverOfTheManualPrintsWhatItIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.secret")
	if err := os.WriteFile(path, append([]byte("the-secret-of-a-test"), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	python := exec.CommandContext(t.Context(), "python3", "-c", strings.Join(blocks(t, "python"), "\n"), path, "0")
	python.Stderr = os.Stderr
	out, err := python.StdoutPipe()
	if err == nil {
		err = python.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = python.Process.Kill()
		_ = python.Wait()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the receiver does not start")
	}
	port, _ := strings.CutPrefix(lines.Text(), "port ")
	for _, compress := range []bool{false, true} {
		st := hooked(t, "http://127.0.0.1:"+port+"/", func(o *Options) {
			o.Secrets, o.Compress = [][]byte{[]byte("one-that-is-newer-yet"), []byte("the-secret-of-a-test")}, compress
		})
		st.Announce(anAnnounce(1))
		if !lines.Scan() {
			t.Fatal("it ended")
		}
		var e told
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Event != "started" || e.Address != "192.0.2.1:6881" {
			t.Errorf("%s, %v", lines.Text(), err)
		}
		closed(t, st)
	}
}
