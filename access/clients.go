package access

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"waggle/bittorrent"
)

// Bounds of lists of clients.
const (
	maxClients = 10_000
	maxAgent   = 64 // bytes of what a User-Agent begins with
)

// clients are what lists say of clients. They are not changed once anybody asks them.
type clients struct {
	ids, agents beginnings
}

// beginnings are what names begin with, and what is said of those.
type beginnings struct {
	says    map[string]verdict
	lengths []int   // of the keys, the longest first
	rest    verdict // of those that begin with none
}

// readClients reads the clients that may announce, and those that may not; "" for none.
func readClients(allow, deny string) (*clients, error) {
	c := &clients{}
	var wrong []error
	for _, l := range []*list{
		{key: "access.clients_allow", path: allow, verdict: allowed, most: maxClients},
		{key: "access.clients_deny", path: deny, verdict: denied, most: maxClients},
	} {
		wrong = append(wrong, l.read(func(text string) error { return c.add(text, l.verdict) }))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	for _, b := range []*beginnings{&c.ids, &c.agents} {
		b.settle()
	}
	return c, nil
}

const agentHeader = "user-agent:"

// add takes a line: what a peer id begins with, or a User-Agent.
func (c *clients) add(text string, v verdict) error {
	if len(text) >= len(agentHeader) && strings.EqualFold(text[:len(agentHeader)], agentHeader) {
		agent, err := beginning(strings.TrimSpace(text[len(agentHeader):]))
		if err == nil && len(agent) > maxAgent {
			err = fmt.Errorf("%s is longer than %d bytes", shown(agent), maxAgent)
		}
		if err != nil {
			return err
		}
		return c.agents.add(agent, v)
	}
	if strings.ContainsAny(text, " \t") {
		return fmt.Errorf("%s has a space; write what a peer id begins with, as -TR2940-, or User-Agent: and what that begins with", shown(text))
	}
	begins, err := beginning(text)
	if err != nil {
		return err
	}
	id, err := url.PathUnescape(begins)
	if err != nil {
		return fmt.Errorf("%s has a %% that is not followed by two hexadecimal digits", shown(text))
	}
	if most := len(bittorrent.PeerID{}); len(id) > most {
		return fmt.Errorf("%s is longer than a peer id, which has %d bytes; for a User-Agent write User-Agent: before it", shown(text), most)
	}
	return c.ids.add(id, v)
}

// beginning takes the star off that a pattern may end in.
func beginning(text string) (string, error) {
	begins := strings.TrimSuffix(text, "*")
	switch {
	case begins == "":
		return "", fmt.Errorf("%s is what any client begins with; take the list away, or write more", shown(text))
	case strings.Contains(begins, "*"):
		return "", fmt.Errorf("%s has a star before its end; write what a client's name begins with", shown(text))
	}
	return begins, nil
}

func (b *beginnings) add(begins string, v verdict) error {
	if b.says == nil {
		b.says = map[string]verdict{}
	}
	if other, is := b.says[begins]; is && other != v {
		return fmt.Errorf("%s is %v as well; take it from one of the lists", shown(begins), other)
	}
	b.says[begins] = v
	return nil
}

// settle notes what is asked for in which order, and what is said of others: they may come,
// unless there are some that alone may.
func (b *beginnings) settle() {
	b.rest = allowed
	for begins, v := range b.says {
		if v == allowed {
			b.rest = denied
		}
		if !slices.Contains(b.lengths, len(begins)) {
			b.lengths = append(b.lengths, len(begins))
		}
	}
	slices.Sort(b.lengths)
	slices.Reverse(b.lengths)
}

// admit reports whether a client may announce: its peer id may, and its User-Agent, if it
// has one.
func (c *clients) admit(id *bittorrent.PeerID, agent string) bool {
	if len(c.ids.says) > 0 {
		says := c.ids.rest
		for _, n := range c.ids.lengths {
			if v, is := c.ids.says[string(id[:n])]; is {
				says = v
				break
			}
		}
		if says == denied {
			return false
		}
	}
	return agent == "" || c.agents.of(agent) == allowed
}

// of returns what is said of a name: what the longest of its beginnings says.
func (b *beginnings) of(name string) verdict {
	for _, n := range b.lengths {
		if n <= len(name) {
			if v, is := b.says[name[:n]]; is {
				return v
			}
		}
	}
	return b.rest
}
