package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console"
	"waggle/console/client"
)

const invitationLine = "waggle-link-1.dGhpcyBpcyBhIHNlY3JldA"

// linked is a tracker with links, as its console sees it.
type linked struct {
	mu    sync.Mutex
	asked []string
	fail  error
	shown client.Links
	tiers [][]string

	lineless bool // invitations have no lines
}

func (l *linked) do(format string, a ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf(format, a...))
	return l.fail
}

func (l *linked) Show() client.Links { return l.shown }

func (l *linked) Invite(_ context.Context, n client.NewInvitation) (client.Invitation, error) {
	line := invitationLine
	if l.lineless {
		line = ""
	}
	return client.Invitation{Name: n.Name, Line: line}, l.do("invite %+v", n)
}

func (l *linked) Join(_ context.Context, line string) (client.Link, error) {
	return client.Link{Name: "world", Role: client.RoleHub, State: client.LinkConnecting}, l.do("join %s", line)
}

func (l *linked) Leave(context.Context) error { return l.do("leave") }

func (l *linked) Drop(_ context.Context, name string) error { return l.do("drop %s", name) }

func (l *linked) Reset(_ context.Context, name string) error { return l.do("reset %s", name) }

func (l *linked) SetRights(_ context.Context, name string, r client.Rights) error {
	return l.do("rights %s %+v", name, r)
}

func (l *linked) AnnounceLists(context.Context) ([][]string, error) {
	return l.tiers, l.do("lists")
}

// withLinks returns a tracker with links, and the URL of its console.
func withLinks(t *testing.T) (l *linked, url string) {
	t.Helper()
	l = &linked{
		tiers: [][]string{{"udp://ams.example:6969/announce", "http://ams.example:6969/announce"}, {"udp://fra.example:6969/announce"}},
		shown: client.Links{
			Name: "ams", Listening: []string{"0.0.0.0:6971"}, Hub: "world", Own: 1234, Relayed: 5678,
			Links: []client.Link{
				{
					Name: "world", Role: client.RoleHub, State: client.LinkActive, Since: time.Now().Add(-time.Hour), Peers: 5000, ChangesIn: 12.34, BytesIn: 2048, Lag: 0.0123,
					LastHeal: &client.Heal{At: time.Now().Add(-time.Minute), Took: 1, Entries: 2}, Waiting: 3,
				},
				{Name: "fra", Role: client.RoleLeaf, State: client.LinkRefused, Why: "its certificate \x1b[31mhas expired", Capped: 7, Rights: client.Rights{Receive: true, Torrents: []string{strings.Repeat("ab", 20)}, Share: client.ShareBoth, Peers: 9}},
			},
			Invited: []client.Invited{{Name: "rom", At: time.Now().Add(-time.Minute), Rights: client.Rights{Receive: true, Send: true}}},
		},
	}
	c, err := console.Listen(t.Context(), "127.0.0.1:0", console.Options{Links: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, "http://" + c.Addr().String()
}

func TestInvitationIsPrintedAlone(t *testing.T) {
	l, url := withLinks(t)
	out, words, err := runCommand(t.Context(), "link", "invite", "rom", "--receive-only", "--torrent", strings.Repeat("ab", 20), "--torrent", strings.Repeat("cd", 20),
		"--share", "receive", "--peers", "10", "--changes-per-second", "20", "--address", "a.example:1", "--address", "b.example:2", "--console", url)
	if err != nil || out != invitationLine+"\n" || !strings.Contains(words, "rom is invited") || strings.Contains(words, invitationLine) {
		t.Errorf("printed %q, said %q, %v", out, words, err)
	}
	want := "invite {Name:rom Rights:{Receive:true Send:false Torrents:[" + strings.Repeat("ab", 20) + " " + strings.Repeat("cd", 20) +
		"] Share:receive Peers:10 ChangesPerSecond:20} Addresses:[a.example:1 b.example:2]}"
	if !slices.Equal(l.asked, []string{want}) {
		t.Errorf("asked %q", l.asked)
	}
	if _, _, err := runCommand(t.Context(), "link", "invite", "rom", "--console", url); err != nil || l.asked[1] != "invite {Name:rom Rights:{Receive:true Send:true Torrents:[] Share: Peers:0 ChangesPerSecond:0} Addresses:[]}" {
		t.Errorf("asked %q, %v", l.asked, err)
	}
}

func TestInvitationWithoutALinePrintsNone(t *testing.T) {
	l, url := withLinks(t)
	l.lineless = true
	if out, words, err := runCommand(t.Context(), "link", "invite", "rom", "--console", url); err != nil || out != "" || !strings.Contains(words, "link.name: rom") {
		t.Errorf("printed %q, said %q, %v", out, words, err)
	}
}

func TestInvitationThatCouldNotBeWrittenIsAnError(t *testing.T) {
	_, url := withLinks(t)
	root := newRootCommand()
	root.SetOut(fullDisk{})
	root.SetErr(new(syncBuffer))
	root.SetArgs([]string{"link", "invite", "rom", "--console", url})
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "waggle link drop rom") {
		t.Error(err)
	}
}

func TestLineToJoinIsAnArgumentOrStandardInput(t *testing.T) {
	l, url := withLinks(t)
	if out, err := runWaggle(t, "link", "join", invitationLine, "--console", url); err != nil || !strings.Contains(out, "a leaf of world") || strings.Contains(out, invitationLine) {
		t.Errorf("printed %q, %v", out, err)
	}
	for input, good := range map[string]bool{
		invitationLine + "\n": true, "  " + invitationLine + "\r\n\n": true,
		"": false, "one\ntwo": false, strings.Repeat("x", maxLineFile+1): false,
	} {
		var out bytes.Buffer
		root := newRootCommand()
		root.SetIn(strings.NewReader(input))
		root.SetOut(&out)
		root.SetArgs([]string{"link", "join", "-", "--console", url})
		err := root.ExecuteContext(t.Context())
		if (err == nil) != good || err != nil && (strings.Contains(err.Error(), "two") || !strings.Contains(err.Error(), "not one line")) {
			t.Errorf("%.40q: %q, %v", input, out.String(), err)
		}
	}
	if !slices.Equal(l.asked, []string{"join " + invitationLine, "join " + invitationLine, "join " + invitationLine}) {
		t.Errorf("asked %q", l.asked)
	}
}

func TestLinksAreEndedAndReset(t *testing.T) {
	l, url := withLinks(t)
	for _, args := range [][]string{{"leave"}, {"drop", "fra"}, {"reset", "world"}} {
		if out, err := runWaggle(t, append(append([]string{"link"}, args...), "--console", url)...); err != nil || out != "" {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
	if !slices.Equal(l.asked, []string{"leave", "drop fra", "reset world"}) {
		t.Errorf("asked %q", l.asked)
	}
	l.fail = fmt.Errorf("nothing is called tim: see waggle links (%w)", console.ErrLinkUnknown)
	if _, err := runWaggle(t, "link", "drop", "tim", "--console", url); err == nil || exitCode(err) != exitFailed || !strings.Contains(err.Error(), "nothing is called tim: see waggle links") {
		t.Errorf("of no link: %v", err)
	}
}

func TestRightsThatNoFlagNamesStay(t *testing.T) {
	l, url := withLinks(t)
	had := "Torrents:[" + strings.Repeat("ab", 20) + "] Share:both Peers:9 ChangesPerSecond:0}"
	for _, test := range []struct{ args, want string }{
		{"fra --send-only", "rights fra {Receive:false Send:true " + had},
		{"fra --both", "rights fra {Receive:true Send:true " + had},
		{"fra --all-torrents --peers 0 --share off", "rights fra {Receive:true Send:false Torrents:[] Share:off Peers:0 ChangesPerSecond:0}"},
		{"fra --all-torrents=false --both", "rights fra {Receive:true Send:true " + had},
		{"rom --changes-per-second 5", "rights rom {Receive:true Send:true Torrents:[] Share: Peers:0 ChangesPerSecond:5}"},
	} {
		_, err := runWaggle(t, append([]string{"link", "rights", "--console", url}, strings.Fields(test.args)...)...)
		if err != nil || l.asked[len(l.asked)-1] != test.want {
			t.Errorf("%s: asked %q, %v; want %s", test.args, l.asked, err, test.want)
		}
	}
	for _, name := range []string{"world", "tim"} { // a hub's are not ours to change
		if _, err := runWaggle(t, "link", "rights", name, "--both", "--console", url); err == nil || !strings.Contains(err.Error(), "there is no leaf "+name) {
			t.Errorf("of %s: %v", name, err)
		}
	}
}

func TestLinkCommandsRefuseWhatTheyCannotUse(t *testing.T) {
	l, url := withLinks(t)
	for args, say := range map[string]string{
		"invite":                              "wants one argument",
		"invite a b":                          "wants one argument",
		"invite a --receive-only --send-only": "one of them",
		"invite a --torrent xyz":              "no info hash",
		"invite a --share everything":         "none of off",
		"invite a --peers -1":                 "1 or more",
		"invite a --both":                     "unknown flag",
		"rights a":                            "say what to change",
		"rights a --all-torrents=false":       "say what to change",
		"rights a --both --send-only":         "one of them",
		"rights a --all-torrents --torrent " + strings.Repeat("ab", 20): "one of them",
		"join":    "wants one argument",
		"leave x": "no command",
		"drop":    "wants one argument",
	} {
		_, _, err := runCommand(t.Context(), append(append([]string{"link"}, strings.Fields(args)...), "--console", url)...)
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if len(l.asked) != 0 {
		t.Errorf("asked %q", l.asked)
	}
	if _, err := runWaggle(t, "link", "split"); exitCode(err) != exitUsage {
		t.Errorf("of no command: %v", err)
	}
}

func TestLinksArePrintedAsATable(t *testing.T) {
	l, url := withLinks(t)
	out, err := runWaggle(t, "links", "--console", url)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 6 || lines[0] != "ams: 1,234 peers announced here, 5,678 at others; leaf of world, leaves join at 0.0.0.0:6971" {
		t.Fatalf("printed %s", out)
	}
	for i, want := range map[int][]string{
		2: {"hub", "active", "5,000", "12.3", "2.0 KiB", "12.3ms", "1m0s", "  world"},
		3: {"leaf", "refused", "  fra"},
		4: {"leaf", "invited", "  rom"},
		5: {`fra: "its certificate \x1b[31mhas expired"; 7 changes were not taken in`},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d is %q, without %q", i, lines[i], part)
			}
		}
	}
	l.shown = client.Links{Name: "ams", Links: []client.Link{{Name: "hub", Role: client.RoleHub, State: client.LinkConnecting}}}
	if out, err := runWaggle(t, "links", "--console", url); err != nil || !strings.Contains(out, "; leaf of a hub that did not say yet what it is called\n") {
		t.Errorf("of a hub that was not reached yet: %q, %v", out, err)
	}
	l.shown = client.Links{Name: "ams"}
	if out, err := runWaggle(t, "links", "--console", url); err != nil || out != "ams: no links; no hub\n" {
		t.Errorf("printed %q, %v", out, err)
	}
}

func TestLinksArePrintedAsTheAPIHasThem(t *testing.T) {
	l, url := withLinks(t)
	out, err := runWaggle(t, "links", "--json", "--console", url)
	var got client.Links
	if err != nil || json.Unmarshal([]byte(out), &got) != nil || got.Name != "ams" || len(got.Links) != 2 || !reflect.DeepEqual(got.Links[1].Rights, l.shown.Links[1].Rights) {
		t.Errorf("printed %s, %v", out, err)
	}
}

func TestTorrentsNameAllLinkedTrackers(t *testing.T) {
	l, url := withLinks(t)
	withTorrents(t, "a.torrent")
	if out, err := runWaggle(t, "torrent", "announce", "a.torrent", "--from-links", "--console", url); err != nil || !strings.Contains(out, "a.torrent: changed") {
		t.Errorf("printed %s, %v", out, err)
	}
	got := mustRead(t, "a.torrent").Trackers()
	if len(got) != len(l.tiers) {
		t.Fatalf("it names %q", got)
	}
	for i := range got {
		if !slices.Equal(slices.Sorted(slices.Values(got[i])), slices.Sorted(slices.Values(l.tiers[i]))) {
			t.Errorf("it names %q", got)
		}
		slices.Reverse(l.tiers[i]) // as another tracker would say
	}
	if out, err := runWaggle(t, "torrent", "announce", "a.torrent", "--from-links", "--console", url); err != nil || !strings.Contains(out, "has these trackers already") {
		t.Errorf("the second time: %s, %v", out, err)
	}
	l.tiers = [][]string{{}, {}}
	if _, err := runWaggle(t, "torrent", "announce", "a.torrent", "--from-links", "--console", url); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("without any: %v", err)
	}
	l.tiers = [][]string{{"gopher://x"}}
	if _, err := runWaggle(t, "torrent", "announce", "a.torrent", "--from-links", "--console", url); err == nil || !strings.Contains(err.Error(), "a linked tracker says") {
		t.Errorf("with a strange one: %v", err)
	}
	if got := mustRead(t, "a.torrent").Trackers(); len(got) != 2 {
		t.Errorf("it names %q", got)
	}
}

func TestTorrentsSpreadOverLinkedTrackersByTheirOrder(t *testing.T) {
	first := map[string]int{}
	for n := range 100 {
		first[shuffled([][]string{{"a", "b", "c", "d"}}, bittorrent.InfoHash{byte(n)})[0][0]]++
	}
	for tracker, torrents := range first {
		if torrents < 10 || len(first) != 4 {
			t.Errorf("%s is the first of %d torrents of 100", tracker, torrents)
		}
	}
}

func TestRecordsForDNSArePrinted(t *testing.T) {
	l, url := withLinks(t)
	l.tiers = [][]string{
		{"udp://ams.example:6969/announce", "http://AMS.example:6969/announce", "https://fra.example/announce", "udp://192.0.2.1:6969"},
		{"http://fra.example./announce", "udp://ams.example:6969"},
	}
	out, words, err := runCommand(t.Context(), "torrent", "announce", "--from-links", "--srv", "--console", url)
	want := `ams.example. IN TXT "BITTORRENT UDP:6969 TCP:6969"
fra.example. IN TXT "BITTORRENT TCP:443 TCP:80"
_bittorrent-tracker._udp IN SRV 0 1 6969 ams.example.
_bittorrent-tracker._tcp IN SRV 0 1 6969 ams.example.
_bittorrent-tracker._tcp IN SRV 0 1 443 fra.example.
_bittorrent-tracker._tcp IN SRV 1 1 80 fra.example.
`
	if err != nil || out != want || !strings.Contains(words, "udp://192.0.2.1:6969: its host has no name") {
		t.Errorf("%v, said %q\nhave %s\nwant %s", err, words, out, want)
	}
	if out, err := runWaggle(t, "torrent", "announce", "--srv", "-a", "udp://tracker.example:1"); err != nil || out != "tracker.example. IN TXT \"BITTORRENT UDP:1\"\n_bittorrent-tracker._udp IN SRV 0 1 1 tracker.example.\n" {
		t.Errorf("of -a: %s, %v", out, err)
	}
	if _, err := runWaggle(t, "torrent", "announce", "--srv", "-a", "udp://192.0.2.1:1"); err == nil || !strings.Contains(err.Error(), "no tracker has a host with a name") {
		t.Errorf("of an address: %v", err)
	}
}

func TestAnnounceFromLinksRefusesWhatContradictsIt(t *testing.T) {
	for args, say := range map[string]string{
		"a.torrent --from-links -a udp://a.example:1": "leave out -a and --remove",
		"a.torrent --from-links --remove":             "leave out -a and --remove",
		"--from-links":                                "no file",
		"a.torrent --srv --from-links":                "and no file",
		"--srv":                                       "no tracker",
	} {
		if _, _, err := runCommand(t.Context(), append([]string{"torrent", "announce"}, strings.Fields(args)...)...); err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestStrangeHostsGetIntoNoZoneFile(t *testing.T) {
	for _, u := range []string{
		"udp://a.example\n.evil.:1", "udp://a;b.example:1", "udp://a b.example:1", "udp://\"a\".example:1", "udp://a.example:0", "udp://a.example", "udp://[2001:db8::1]:1", "gopher://a.example:1", "udp://:1",
		"udp://a$.example:1", "udp://a@.example:1", "udp://a..example:1", "udp://(.example:1", "udp://" + strings.Repeat("a", 254) + ":1",
	} {
		if lines, without := records([][]string{{u}}); len(lines) != 0 || !slices.Equal(without, []string{u}) {
			t.Errorf("%q has %q", u, lines)
		}
	}
}
