package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Address is where to listen, as net.Listen takes it: host:port, where an empty host is every
// address of the machine and port 0 is any free port. A host is an IP address (IPv6 in brackets)
// or a name; whether the name exists is not known here.
type Address string

var hostName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$`) })

func parseAddress(text string) (Address, error) {
	if strings.Contains(text, "://") {
		return "", errors.New("leave out what stands before ://")
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", addressAdvice(text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("its port is not a number from 0 to 65535")
	}
	_, err = netip.ParseAddr(host)
	if host != "" && err != nil && !hostName().MatchString(host) {
		return "", errors.New("its host is neither an IP address nor a name")
	}
	return Address(text), nil
}

// OptionalAddress is an [Address], or empty for none, which is written off.
type OptionalAddress string

// String returns the address, or off.
func (a OptionalAddress) String() string {
	if a == "" {
		return "off"
	}
	return string(a)
}

func parseOptionalAddress(text string) (OptionalAddress, error) {
	if text == "off" {
		return "", nil
	}
	a, err := parseAddress(text)
	return OptionalAddress(a), err
}

func addressAdvice(text string) error {
	if strings.Contains(text, ":") {
		return errors.New("an IPv6 address stands in brackets, and a port follows it")
	}
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return errors.New(`for that port on every address write ":` + text + `"`)
	}
	return errors.New("it has no port")
}
