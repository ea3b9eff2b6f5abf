package redis_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
)

func TestURLsAreUnderstood(t *testing.T) {
	for url, want := range map[string]string{
		"redis://localhost":                                   "redis://localhost:6379",
		"redis://localhost/0":                                 "redis://localhost:6379",
		"redis://host:7000/3?prefix=a":                        "redis://host:7000/3?prefix=a",
		"redis://me:s%40cret@host":                            "redis://me:***@host:6379",
		"redis://:secret@host":                                "redis://:***@host:6379",
		"rediss://[::1]:7000/?timeout=500ms&ca=f.pem":         "rediss://[::1]:7000?ca=f.pem&timeout=500ms",
		"redis+cluster://a:1,b,[::1]":                         "redis+cluster://a:1,b:6379,[::1]:6379",
		"rediss+cluster://me:secret@a,b:2?prefix=waggle":      "rediss+cluster://me:***@a:6379,b:2",
		"redis+cluster://default:pa:ss,w%2F%3Frd@a:7001,b:70": "redis+cluster://default:***@a:7001,b:70",
	} {
		o, err := redis.ParseURL(url)
		if err != nil || o.String() != want {
			t.Errorf("%s: %s, %v, want %s", url, o, err, want)
		}
	}
	o, err := redis.ParseURL("redis://me:s%40c%3Aret@host")
	if err != nil || o.User != "me" || o.Password != "s@c:ret" {
		t.Errorf("%q %q %v", o.User, o.Password, err)
	}
}

func TestBadURLsAreRefusedWithoutTheirPassword(t *testing.T) {
	for _, url := range []string{
		"", "redis", "http://secret", "redis://", "redis:///0", "redis://:6379", "redis://host:0", "redis://host:x", "redis://host:65536",
		"redis://host/x", "redis://host/-1", "redis://a,b", "redis+cluster://a/1", "redis+cluster://a,,b", "redis://secret@host",
		"redis://me:%zzsecret@host", "redis://host?prefix=", "redis://host?prefix=a{b}", "redis://host?prefix=a%20b", "redis://host?timeout=2",
		"redis://host?timeout=1ns", "redis://host?secret=1", "redis://host?ca=x", "redis://host?%zz", "redis://me:secret@ho]st", "redis://me:secret@[fe80::1%[",
		"redis://host?prefix=" + strings.Repeat("x", 65), "redis+cluster://" + strings.Repeat("a,", 64) + "a",
	} {
		_, err := redis.ParseURL(url)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "redis://") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://me:secret@host:6379/1?prefix=a&timeout=1s")
	f.Add("rediss+cluster://a,[::1]:2,b:3?ca=x")
	f.Fuzz(func(t *testing.T, url string) {
		o, err := redis.ParseURL(url)
		if err != nil {
			return
		}
		again, err := redis.ParseURL(o.String())
		if err != nil || again.String() != o.String() {
			t.Errorf("%q is shown as %q, which is %q, %v", url, o, again, err)
		}
	})
}

// refused opens a store that must not open, soon, in words that name the remedy.
func refused(t *testing.T, o redis.Options, want string) {
	t.Helper()
	began := time.Now()
	s, err := redis.Open(t.Context(), o)
	if err == nil {
		_ = s.Close()
		t.Fatalf("%s opens; want %q", o, want)
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%s: %v; want %q", o, err, want)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("%s: refused after %v", o, took)
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	n := launched(t, "--requirepass", "secret1")
	at := n.address()
	refused(t, options(t, "redis://"+at, "a"), "wants a password")
	refused(t, options(t, "redis://:secret2@"+at, "a"), "password is wrong")
	refused(t, options(t, "redis://nobody:secret1@"+at, "a"), "password is wrong")
	opened(t, options(t, "redis://:secret1@"+at, "a"))
	opened(t, options(t, "redis://default:secret1@"+at, "a"))
}

// TestUserWithTheRightsOfTheManualSuffices uses what docs/redis.md says.
func TestUserWithTheRightsOfTheManualSuffices(t *testing.T) {
	n := launched(t)
	rights := strings.Fields("ACL SETUSER waggle on >secret ~waggle:* resetchannels +@read +@write +@scripting +@connection -@dangerous +info +cluster|slots +cluster|shards")
	if out, err := n.cli(rights...); err != nil || out != "OK" {
		t.Fatal(out)
	}
	s := opened(t, options(t, "redis://waggle:secret@"+n.address(), "waggle"))
	do(t, s, leecher(hash(1, 1), 1))
	if _, err := s.Documents().Put(t.Context(), "a", nil, ""); err != nil {
		t.Error(err)
	}
	for _, err := range s.Documents().List(t.Context(), "", "", true) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range s.Swarms(t.Context()) {
		if err != nil {
			t.Error(err)
		}
	}
	if n, err := s.Expire(t.Context(), now.Add(time.Hour)); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if err := s.Healthy(); err != nil {
		t.Error(err)
	}
	refused(t, options(t, "redis://waggle:secret@"+n.address(), "other"), "may not do what waggle needs")
}

func TestWhatWouldLosePeersIsRefused(t *testing.T) {
	n := launched(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	refused(t, options(t, n.url(), "a"), "noeviction")
	for _, policy := range []string{"volatile-ttl", "noeviction"} {
		if out, err := n.cli("CONFIG", "SET", "maxmemory-policy", policy); err != nil {
			t.Fatal(out)
		}
		opened(t, options(t, n.url(), "a"))
	}
}

func TestWrongDatabaseAndKindOfServerAreRefused(t *testing.T) {
	refused(t, options(t, alone.url()+"/99", "a"), "no such database")
	refused(t, options(t, "redis://"+cluster[0].address(), "a"), "write redis+cluster://")
	refused(t, options(t, "redis+cluster://"+alone.address(), "a"), "write redis://")
}

func TestForeignAndNewerSchemasAreRefusedAndKept(t *testing.T) {
	for value, want := range map[string]string{
		"waggle 2": "newer waggle", "waggle": "another program", "something else": "another program", "": "another program", "waggle x": "another program",
	} {
		prefix := newPrefix()
		if out, err := alone.cli("SET", prefix+":schema", value); err != nil {
			t.Fatal(out)
		}
		refused(t, options(t, alone.url(), prefix), want)
		if kept, err := alone.cli("GET", prefix+":schema"); err != nil || kept != value {
			t.Errorf("%q became %q", value, kept)
		}
	}
	prefix := newPrefix()
	if out, err := alone.cli("LPUSH", prefix+":schema", "waggle 1"); err != nil {
		t.Fatal(out)
	}
	refused(t, options(t, alone.url(), prefix), "another program")
}

func TestKeysOfOthersAreLeftAlone(t *testing.T) {
	n := launched(t)
	if out, err := n.cli("MSET", "mine", "1", "waggle2:x", "2"); err != nil {
		t.Fatal(out)
	}
	s := opened(t, options(t, n.url(), "waggle"))
	do(t, s, leecher(hash(1, 1), 1))
	stop := leecher(hash(1, 1), 1)
	stop.Event = bittorrent.EventStopped
	do(t, s, stop)
	keys, err := n.cli("--no-raw", "KEYS", "*")
	for _, key := range []string{`"mine"`, `"waggle2:x"`, `"waggle:schema"`, `"waggle:seed"`, `"waggle:{01}:totals"`} {
		if err != nil || !strings.Contains(keys, key) {
			t.Errorf("%s is not among %s", key, keys)
		}
	}
	if strings.Count(keys, "\n") != 4 {
		t.Errorf("a torrent that is gone leaves keys: %s", keys)
	}
}

func TestServerThatIsNoRedisIsRefused(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	refused(t, options(t, "redis://"+web.Listener.Addr().String(), "a"), "not Redis")
	for banner, want := range map[string]string{
		"220 mail.example ESMTP\r\n": "not Redis", "+OK POP3 ready\r\n": "is it Redis", "$-7\r\n": "not Redis", "*99999999\r\n": "not Redis",
		"$99999999999\r\n": "not Redis", ":1\r\n:2\r\n:3\r\n": "not Redis",
	} {
		at, end := serve(t, func(c net.Conn) { _, _ = c.Write([]byte(banner)) })
		o := options(t, "redis://"+at, "a")
		o.Timeout = 300 * time.Millisecond
		refused(t, o, want)
		end()
	}
}

// serve answers connections on loopback until end is called.
func serve(t *testing.T, answer func(net.Conn)) (address string, end func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(conn)
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
	}()
	return listener.Addr().String(), func() {
		cancel()
		_ = listener.Close()
		<-ended
	}
}

func TestServerThatNeverAnswersIsRefusedInTime(t *testing.T) {
	at, end := serve(t, func(net.Conn) {})
	defer end()
	o := options(t, "redis://"+at, "a")
	o.Timeout = 300 * time.Millisecond
	refused(t, o, "does not answer")
	o = options(t, "redis+cluster://"+at, "a")
	o.Timeout = 300 * time.Millisecond
	refused(t, o, "does not answer")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	o.Timeout = time.Minute
	if _, err := redis.Open(ctx, o); err == nil {
		t.Error("opened")
	}
}

func TestNobodyListens(t *testing.T) {
	at, end := serve(t, func(net.Conn) {})
	end()
	refused(t, options(t, "redis://"+at, "a"), "refused")
	refused(t, options(t, "redis+cluster://"+at, "a"), "refused")
}
