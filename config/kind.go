package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// kind is how one type of value is read and described.
type kind struct {
	of      reflect.Type
	name    string // in the help of a flag: duration
	want    string // what to write: a duration such as 30m
	example string // the example alone: 30m
	parse   func(text string) (reflect.Value, error)
}

// errShape says that a text is nothing like its kind, so that there is no more to say than what
// the kind wants.
var errShape = errors.New("wrong kind")

var kinds = map[reflect.Type]kind{
	reflect.TypeFor[string]():          newKind("word", "a word such as ", "info", parseString),
	reflect.TypeFor[bool]():            newKind("true or false", "true or ", "false", parseBool),
	reflect.TypeFor[int]():             newKind("number", "a number such as ", "50", parseInt),
	reflect.TypeFor[Count]():           newKind("count", "a count such as 5k, 1_000 or ", "20M", parseCount),
	reflect.TypeFor[time.Duration]():   newKind("duration", "a duration such as ", "30m", parseDuration),
	reflect.TypeFor[Address]():         newKind("host:port", "an address such as [::1]:6969 or ", ":6969", parseAddress),
	reflect.TypeFor[OptionalAddress](): newKind("host:port", "off, or an address such as ", "127.0.0.1:6970", parseOptionalAddress),
	reflect.TypeFor[netip.Prefix]():    newKind("network", "an address, or a network such as ", "10.0.0.0/8", parsePrefix),
	reflect.TypeFor[Origin]():          newKind("origin", "the origin of a site such as ", "https://example.org", parseOrigin),
	reflect.TypeFor[Path]():            newKind("path", "a path such as ", "/etc/waggle/denied.txt", parsePath),
	reflect.TypeFor[StoreURL]():        newKind("URL", "memory: or a URL such as redis://host:6379/0 or ", "sqlite:waggle-data/waggle.db", parseStoreURL),
	reflect.TypeFor[Level]():           newKind("level", "the name of a level, in letters, digits, _ and -, such as ", "rack", parseLevel),
	reflect.TypeFor[LevelCount]():      newKind("level=count", "a level and a number such as ", "rack=1", parseLevelCount),
	reflect.TypeFor[Bandwidth]():       newKind("bandwidth", "0, or bits a second such as 500Mbit or ", "10Gbit", parseBandwidth),
	reflect.TypeFor[URL]():             newKind("URL", "a URL such as ", "https://smdb.example", parseURL),
	reflect.TypeFor[Template]():        newKind("template", "a text with names in braces such as ", "{/server/cabinet}", parseTemplate),
	reflect.TypeFor[Pattern]():         newKind("pattern", "a regular expression such as ", `(?P<rack>r[0-9]+)-.*`, parsePattern),
	reflect.TypeFor[Server]():          newKind("server", "a name server such as 192.0.2.53 or ", "localhost:5353", parseServer),
	reflect.TypeFor[NATSURL]():         newKind("URL", "the URL of a NATS such as ", "tls://nats.example:4222", parseNATSURL),
	reflect.TypeFor[Group]():           newKind("group", "off, or a multicast group such as ", "239.192.0.69:6968", parseGroup),
	reflect.TypeFor[ReceiverURL]():     newKind("URL", "the URL of a receiver such as ", "http://127.0.0.1:4318", parseReceiverURL),
	reflect.TypeFor[KeySetURL]():       newKind("URL", "the URL of a JSON Web Key Set such as ", "https://login.example/.well-known/jwks.json", parseKeySetURL),
	reflect.TypeFor[WebhookURL]():      newKind("URL", "the URL of a receiver such as ", "https://accounts.example/waggle", parseWebhookURL),
	reflect.TypeFor[Memory]():          newKind("memory", "0, bytes such as 2G or 512MiB, or a share such as ", "75%", parseMemory),
	reflect.TypeFor[Share]():           newKind("share", "a share from 0 to 1 such as 0.1 or ", "10%", parseShare),
	reflect.TypeFor[FilePair]():        newKind("certificate:key", "two files such as ", "b.example.pem:b.example.key", parseFilePair),
	reflect.TypeFor[HostName]():        newKind("name", "a full name such as ", "tracker.example.org", parseHostName),
	reflect.TypeFor[AnnounceURL]():     newKind("URL", "the announce URL of a tracker such as udp://tracker.example:6969/announce or ", "https://tracker.example/announce", parseAnnounceURL),
	reflect.TypeFor[LocalitySource]():  newKind("source", "a source such as ", "subnets: topology.csv", noSource),
}

// newKind makes a kind that wants what suchAs says, which ends in the example.
func newKind[T any](name, suchAs, example string, parse func(string) (T, error)) kind {
	return kind{name: name, want: suchAs + example, example: example, parse: func(text string) (reflect.Value, error) {
		value, err := parse(text)
		return reflect.ValueOf(value), err
	}}
}

func isKind(t reflect.Type) bool {
	_, ok := kinds[t]
	return ok
}

// format writes a value so that its kind reads the same value from it.
func format(value reflect.Value) string {
	if d, ok := value.Interface().(time.Duration); ok {
		return shortDuration(d)
	}
	return fmt.Sprint(value.Interface())
}

func parseString(text string) (string, error) { return text, nil }

// Path is the path of a file or folder, relative to the working directory unless it begins with a
// slash; empty for none.
type Path string

func parsePath(text string) (Path, error) { return Path(text), nil }

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errShape
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errShape
	}
	return n, nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, errors.New("it has no unit, which is s, m or h")
	}
	return 0, errShape
}

// shortDuration leaves out the zeros that Duration.String ends in: 30m rather than 30m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// parsePrefix reads a network, or an address as the network of that address alone. What is IPv4
// mapped into IPv6 becomes IPv4, as the addresses are that it is compared with.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errShape
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("write the network %s or the address %s", p.Masked(), p.Addr())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}
