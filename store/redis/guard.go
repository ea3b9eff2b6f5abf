package redis

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
)

// guard is a connection that ends where what comes in is not what Redis says: the
// client's library takes a length as it is, and an answer that nobody asked for, as
// reasons to panic.
type guard struct {
	net.Conn
	lines   *lines
	out, in scanner
	asked   atomic.Int64 // requests
	told    int64        // answers
	fault   error
}

var errNotRedis = errors.New("what came in is not of Redis' protocol")

// Write counts the requests before it sends them.
func (g *guard) Write(p []byte) (int, error) {
	n, err := g.out.scan(p)
	if err != nil {
		return 0, err
	}
	g.asked.Add(int64(n))
	return g.Conn.Write(p)
}

// Read is for one goroutine, as the library has it.
func (g *guard) Read(p []byte) (int, error) {
	if g.fault != nil {
		return 0, g.fault
	}
	n, err := g.Conn.Read(p)
	messages, fault := g.in.scan(p[:n])
	if g.told += int64(messages); fault == nil && g.told > g.asked.Load() {
		fault = fmt.Errorf("%w: an answer that nobody asked for", errNotRedis)
	}
	if fault != nil {
		g.fault = fault
		return 0, fault
	}
	return n, err
}

// Bounds of what is said in one message.
const (
	maxBulk     = 64 << 20
	maxElements = 1 << 20
	maxDepth    = 8
	maxLine     = 64 << 10
)

// scanner follows messages of RESP 2 and 3, and looks at their lengths alone.
type scanner struct {
	skip   int64   // bytes of a bulk that are to come, its line end included
	kind   byte    // of the line under way; 0: none
	number int64   // read from the line so far
	digits int     // of it, and other characters
	minus  bool    //
	open   []int64 // elements that are to come, of each array that is under way
	push   bool    // the message is one that nobody asks for
}

// scan takes in what comes next, and returns how many messages it ends.
func (s *scanner) scan(p []byte) (messages int, err error) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, int64(len(p)))
			p = p[n:]
			if s.skip -= n; s.skip == 0 {
				messages += s.end()
			}
			continue
		}
		c := p[0]
		p = p[1:]
		switch {
		case s.kind == 0:
			s.kind, s.number, s.digits, s.minus = c, 0, 0, false
		case c == '\n':
			n, err := s.line()
			if err != nil {
				return messages, err
			}
			messages += n
		default:
			if err := s.character(c); err != nil {
				return messages, err
			}
		}
	}
	return messages, nil
}

// character takes in one of a line.
func (s *scanner) character(c byte) error {
	switch s.kind {
	case '+', '-', ':', '_', '#', ',', '(':
		if s.digits++; s.digits > maxLine {
			return fmt.Errorf("%w: a line without end", errNotRedis)
		}
		return nil
	case '$', '=', '!', '*', '%', '~', '>':
	default:
		return fmt.Errorf("%w: a message begins with %q", errNotRedis, s.kind)
	}
	switch {
	case c == '\r':
	case c == '-' && s.digits == 0:
		s.minus = true
	case c >= '0' && c <= '9' && s.digits < 10:
		s.number = 10*s.number + int64(c-'0')
		s.digits++
	default:
		return fmt.Errorf("%w: a length has %q", errNotRedis, c)
	}
	return nil
}

// line ends a line, and returns how many messages end with it.
func (s *scanner) line() (messages int, err error) {
	kind := s.kind
	s.kind = 0
	if s.minus {
		if s.number = -s.number; s.number != -1 {
			return 0, fmt.Errorf("%w: a length is %d", errNotRedis, s.number)
		}
	}
	switch kind {
	case '$', '=', '!':
		if s.number > maxBulk {
			return 0, fmt.Errorf("%w: a value of %d bytes", errNotRedis, s.number)
		}
		if s.number >= 0 {
			s.skip = s.number + 2
			return 0, nil
		}
	case '*', '%', '~', '>':
		n := s.number
		if kind == '%' {
			n *= 2
		}
		if n > maxElements || len(s.open) == maxDepth {
			return 0, fmt.Errorf("%w: an array of %d elements, %d deep", errNotRedis, n, len(s.open))
		}
		if len(s.open) == 0 {
			s.push = kind == '>'
		}
		if n > 0 {
			s.open = append(s.open, n)
			return 0, nil
		}
	}
	return s.end(), nil
}

// end ends an element, and what ends with it; it returns whether that is a message.
func (s *scanner) end() (messages int) {
	for last := len(s.open) - 1; last >= 0; last-- {
		if s.open[last]--; s.open[last] > 0 {
			return 0
		}
		s.open = s.open[:last]
	}
	if s.push {
		s.push = false
		return 0
	}
	return 1
}
