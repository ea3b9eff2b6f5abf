package config

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestFileWithoutKeysMeansTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "---\n", "{}", "announce:\n", "\ufeffannounce: {}\r\n", "announce:\n  # interval: 1m\nlog: {}\n"} {
		if err := Check("waggle.yaml", []byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFileIsReadInEveryStyleOfYAML(t *testing.T) {
	for _, text := range []string{
		"listen:\n  udp:\n  - ':1'\n  - \"[::1]:2\"\nlimits:\n  peers: 1_000\n",
		"{listen: {udp: [':1', '[::1]:2']}, limits: {peers: 1000}}",
		"\"listen\":\n    udp: [\n      \":1\", # here\n      \"[::1]:2\",\n    ]\nlimits: {peers: 1k}\n",
	} {
		l := newLoader()
		l.file("waggle.yaml", []byte(text))
		c := l.loaded.Config
		if l.err() != nil || fmt.Sprint(c.Listen.UDP) != "[:1 [::1]:2]" || c.Limits.Peers != 1000 {
			t.Errorf("%q: %+v, %v", text, c, l.err())
		}
	}
}

func TestMistakesAreReportedWithLineKeyAndRemedy(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"misspelt key", "announce:\n  intervall: 5m", "2: announce.intervall is not a key; did you mean interval?"},
		{"misspelt section", "\nanounce: {}", "2: anounce is not a key; did you mean announce?"},
		{"dash for underscore", "announce: {min-interval: 5m}", "1: announce.min-interval is not a key; did you mean min_interval?"},
		{"capital letter", "Log: {level: info}", "1: Log is not a key; did you mean log?"},
		{"key outside its section", "interval: 5m", "1: interval is not a key; did you mean announce.interval?"},
		{"key in another section", "log: {numwant: 5}", "1: log.numwant is not a key; did you mean announce.numwant?"},
		{"top key in a section", "log: {store: x}", "1: log.store is not a key; did you mean store?"},
		{"key written with a dot", "announce.interval: 5m", "1: announce.interval is not a key; write announce: on a line and interval: indented below it"},
		{"nothing like a key", "frobnicate: 1", "1: frobnicate is not a key; the keys are listen, store, tls, announce, torrents, access, locality, link, cluster, console, limits, log, traces, events"},
		{"nothing like a key of the section", "listen: {frob: 1}", "1: listen.frob is not a key; the keys of listen are udp, http, https, websocket, console"},
		{"merge", "<<: {}", "1: << is not a key; the keys are listen, store, tls, announce, torrents, access, locality, link, cluster, console, limits, log, traces, events"},
		{"list as key", "? [a]\n: b", "1: a key is a word, not a list"},
		{"key twice", "log:\n  level: info\n  format: text\n  level: warn", "4: log.level is already on line 2; keep one of them"},
		{"section twice", "log:\n  level: info\nstore: 'memory:'\nlog:\n  format: text", "4: log is already on line 1; keep one of them"},

		{"text for section", "announce: 30m", `1: announce wants keys such as interval: below it, not "30m"`},
		{"list for section", "announce:\n- interval", "2: announce wants keys such as interval: below it, not a list"},
		{"section for value", "announce:\n  interval:\n    minutes: 5", "3: announce.interval wants a duration such as 30m, not keys"},
		{"list for value", "announce:\n  interval: [5m]", "2: announce.interval wants a duration such as 30m, not a list; a value with [ or { in it goes in quotes"},
		{"no value", "announce:\n  interval:\n", "2: announce.interval has no value; give it a duration such as 30m, or leave out the key"},
		{"no list", "listen:\n  udp:\n", `2: listen.udp has no value; give it a list such as [":6969"], or leave out the key`},
		{"no choice", "log:\n  level:\n", "2: log.level has no value; give it one of debug, info, warn, error, or leave out the key"},
		{"text for list", "listen: {udp: ':6969'}", `1: listen.udp wants a list such as [":6969"], not ":6969"`},
		{"bad entry of list", "access:\n  trusted_proxies:\n  - ::1\n  - 10.0.0.1/8", `4: access.trusted_proxies wants an address, or a network such as 10.0.0.0/8, not "10.0.0.1/8": write the network 10.0.0.0/8 or the address 10.0.0.1`},
		{"number without unit", "announce: {interval: 1800}", `1: announce.interval wants a duration such as 30m, not "1800": it has no unit, which is s, m or h`},
		{"word for number", "announce: {numwant: many}", `1: announce.numwant wants a number such as 50, not "many"`},
		{"count with a wrong unit", "limits: {peers: 20m}", `1: limits.peers wants a count such as 5k, 1_000 or 20M, not "20m"`},
		{"choice in capitals", "log: {level: INFO}", `1: log.level is one of debug, info, warn, error, not "INFO"; did you mean info?`},
		{"unknown store", "store: postgres://host", `1: store wants memory: or a URL such as redis://host:6379/0 or sqlite:waggle-data/waggle.db, not "postgres://host"`},
		{"control character", `store: "sqlite:a\tb"`, `1: store holds a character that is no text: "sqlite:a\tb"`},
		{"tag", "store: !!binary bWVtb3J5Og==", `1: store wants memory: or a URL such as redis://host:6379/0 or sqlite:waggle-data/waggle.db, not a value with the tag "!!binary"`},

		{"below its range", "announce: {interval: 0s}", `1: announce.interval must be 1s to 24h, not "0s"`},
		{"above its range", "announce: {max_numwant: 1001}", `1: announce.max_numwant must be 0 to 1000, not "1001"`},
		{"negative limit", "limits: {torrents: -1}", `1: limits.torrents must be 0 or more, not "-1"`},
		{"more than a packet", "limits: {scrape_hashes: 75}", `1: limits.scrape_hashes must be 1 to 74, not "75"`},

		{"not keys", "- a\n", "1: wants keys such as announce:, not a list"},
		{"not YAML", "just words", `1: wants keys such as announce:, not "just words"`},
		{"two documents", "log: {}\n---\nlog: {}\n", "2: a second YAML document begins here; keep one, and no --- between keys"},
		{"alias", "store: &a x\nlog: *a", `2: log wants keys such as level: below it, not the alias "*a", which is not followed`},
		{"unknown alias", "log: {}\nstore: *a", "2: a value that begins with * needs quotes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problemsOf(Check("waggle.yaml", []byte(c.file)))
			if len(got) == 0 || got[len(got)-1] != "waggle.yaml:"+c.want {
				t.Errorf("got  %s\nwant waggle.yaml:%s", strings.Join(got, "\n     "), c.want)
			}
		})
	}
}

func TestSyntaxErrorsAreReportedAtTheLineToEdit(t *testing.T) {
	above := "# a\n\nlog:\n  level: info\n"
	for _, c := range []struct{ name, file, want string }{
		{"memory: without quotes", "store: memory:\n", `5: a ":" where none can be`},
		{"tab", "announce:\n\tinterval: 5m\n", "6: a tab before the key; indent with spaces"},
		{"tab after spaces", "announce:\n  interval: 5m\n \tnumwant: 5\n", "7: a tab before the key; indent with spaces"},
		{"indented too little", "announce:\n  interval: 5m\n numwant: 5\n", "7: this is indented unlike the lines"},
		{"indented too much", "announce:\n  interval: 5m\n   numwant: 5\n", `7: a ":" where none can be`},
		{"key below a list", "listen:\n  udp:\n  - a\n http: []\n", "8: this is indented unlike the lines"},
		{"list not closed", "listen:\n  udp: [':1'\nstore: x\n", "6: a list or a { is not closed"},
		{"quote not closed", "store: 'sqlite:a\n", "5: a quote is not closed"},
		{"address without quotes", "listen: {udp: [:6969]}\n", "5: a value is missing or needs quotes"},
		{"no colon", "store\nlisten: {}\n", `5: a key without ":" after it`},
		{"reserved character", "store: @x\n", "5: a value that begins with @"},
		{"unknown escape", `store: "\q"`, "5: found unknown escape character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problemsOf(Check("waggle.yaml", []byte(above+c.file)))
			if len(got) != 1 || !strings.HasPrefix(got[0], "waggle.yaml:"+c.want) {
				t.Errorf("got  %s\nwant waggle.yaml:%s", strings.Join(got, "\n     "), c.want)
			}
		})
	}
}

func TestWhatIsNoTextFileIsRefusedWithoutBeingRepeated(t *testing.T) {
	for content, want := range map[string]string{
		"log: {}\nstore: caf\xe9":           "waggle.yaml:2: is not UTF-8; save it as UTF-8 text",
		"\xff\xfel\x00o\x00g\x00":           "waggle.yaml:1: is not UTF-8; save it as UTF-8 text",
		"\x7fELF\x02\x01\x01":               "waggle.yaml:1: holds a control character, as a text file does not; is this the configuration?",
		strings.Repeat("#", maxFile) + "\n": "waggle.yaml: is larger than 1 MiB; is this the configuration?",
	} {
		wantProblems(t, Check("waggle.yaml", []byte(content)), want)
	}
}

func TestFileOfExactlyTheLargestSizeIsRead(t *testing.T) {
	content := "store: sqlite:a.db #" + strings.Repeat("x", maxFile-21) + "\n"
	path := fileWith(t, content)
	if err := CheckFile(path); err != nil {
		t.Error(err)
	}
	path = fileWith(t, content+"\n")
	wantProblems(t, CheckFile(path), path+": is larger than 1 MiB; is this the configuration?")
}

func TestWrongFileIsNotCopiedIntoTheError(t *testing.T) {
	secret := strings.Repeat("private key material ", 1000)
	for _, content := range []string{secret, "log: " + secret, secret + ": x", "store: " + secret, "log: {level: " + secret + "}", "a: *" + strings.ReplaceAll(secret, " ", "")} {
		err := Check("waggle.yaml", []byte(content))
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
		}
	}
	err := Check("waggle.yaml", bytes.Repeat([]byte("frob: x\n"), 1000))
	got := problemsOf(err)
	if len(got) != maxProblems+1 || got[maxProblems] != "and 950 more problems" {
		t.Errorf("%d problems, the last %q", len(got), got[len(got)-1])
	}
}

func TestAliasBombIsRefusedAtOnce(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9))
	}
	if err := Check("waggle.yaml", []byte(bomb+"listen: {udp: *y}\n")); err == nil {
		t.Error("an alias was followed")
	}
}
