package locality

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxSubnets  = 4_000_000 // in a file; some 500 MB
	maxLine     = 4096      // bytes of a line of it
	maxProblems = 20        // lines of it that are reported as wrong
)

// Subnets is a Table of a file with a subnet and its path on each line, for IPv4 and IPv6:
//
//	# leaf switches of Amsterdam
//	10.1.1.0/24,    ams1/row1/r01
//	2001:db8:1::/64, ams1/row1/r01   # the same rack
//
// What follows # is a comment. Where subnets overlap, the longest prefix wins.
type Subnets struct {
	tree  *Tree
	file  string
	state atomic.Pointer[subnetState]
}

type subnetState struct {
	prefixes *prefixes
	summary  SubnetSummary
	changed  time.Time
	err      error
}

// SubnetSummary says what is in a file of subnets.
type SubnetSummary struct {
	IPv4, IPv6 int   // subnets
	Groups     []int // how many locations they name, one number per level, outermost first
}

// OpenSubnets reads a file of subnets. Its error joins an error for each line that is wrong, which
// begins with file and line: one that is no subnet, a path of the wrong depth, a subnet that is
// there twice.
func OpenSubnets(tree *Tree, file string) (*Subnets, error) {
	s := &Subnets{tree: tree, file: file}
	state, err := s.read()
	if err != nil {
		return nil, err
	}
	s.state.Store(state)
	return s, nil
}

// String is "subnets" and the name of the file.
func (s *Subnets) String() string { return "subnets " + s.file }

// Locate is the path of an address. It has no errors, and does not wait.
func (s *Subnets) Locate(_ context.Context, ip netip.Addr) (string, error) {
	return pathOf(s.Group(ip)), nil
}

// Group is the group of an address, or nil.
func (s *Subnets) Group(ip netip.Addr) *Group {
	found, _ := s.state.Load().prefixes.find(ip)
	return found.group
}

// Why is the line and the subnet that an address is found by.
func (s *Subnets) Why(ip netip.Addr) string {
	p := s.state.Load().prefixes
	found, ok := p.find(ip)
	if !ok {
		return ""
	}
	return fmt.Sprintf("line %d: %v", found.note, p.network(ip))
}

// Dated is when the file was last changed before it was read, and the error of the last Reload.
func (s *Subnets) Dated() (time.Time, error) {
	state := s.state.Load()
	return state.changed, state.err
}

// Summary says what is in the file.
func (s *Subnets) Summary() SubnetSummary { return s.state.Load().summary }

// Reload reads the file again. If it is wrong, the table stays as it was, and the error is that of
// OpenSubnets.
func (s *Subnets) Reload() error {
	state, err := s.read()
	if err != nil {
		kept := *s.state.Load()
		kept.err = err
		state = &kept
	}
	s.state.Store(state)
	return err
}

// read reads the file into a new state.
func (s *Subnets) read() (*subnetState, error) {
	file, err := os.Open(s.file)
	if err != nil {
		return nil, fmt.Errorf("subnets: %w", err)
	}
	defer func() { _ = file.Close() }()
	r := subnetReader{tree: s.tree, file: s.file}
	rows := r.rows(file)
	if len(r.problems) == 0 && len(rows) == 0 {
		r.problems = append(r.problems, fmt.Errorf("%s: has no subnet; write lines such as 10.1.2.0/24, %s", s.file, r.example()))
	}
	if err := errors.Join(r.problems...); err != nil {
		return nil, err
	}
	state, err := s.build(rows)
	if info, statErr := file.Stat(); err == nil && statErr == nil {
		state.changed = info.ModTime()
	}
	return state, err
}

// build makes the groups of rows, once all rows are right, so that a file that is refused leaves no
// groups behind.
func (s *Subnets) build(rows []subnetRow) (*subnetState, error) {
	state := &subnetState{prefixes: new(prefixes)}
	named := make(map[*Group]bool)
	state.summary.Groups = make([]int, len(s.tree.levels))
	for _, row := range rows {
		g, err := s.tree.Group(row.path)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", s.file, row.line, err)
		}
		state.prefixes.table.Insert(row.subnet, placed{g, row.line})
		if row.subnet.Addr().Is4() {
			state.summary.IPv4++
		} else {
			state.summary.IPv6++
		}
		for ; g != nil && !named[g]; g = g.up {
			named[g] = true
			state.summary.Groups[len(s.tree.levels)-g.height]++
		}
	}
	return state, nil
}

// subnetRow is a line of a file of subnets.
type subnetRow struct {
	subnet netip.Prefix
	path   string
	line   int32
}

// subnetReader reads the rows of a file and collects what is wrong with it.
type subnetReader struct {
	tree     *Tree
	file     string
	problems []error
}

// rows are the lines of a file that have a subnet.
func (r *subnetReader) rows(file io.Reader) []subnetRow {
	var rows []subnetRow
	first := make(map[netip.Prefix]int32)
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	var n int32
	for lines.Scan() && len(r.problems) < maxProblems {
		n++
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // spreadsheets begin with it
		}
		subnet, path, ok, err := r.row(text)
		switch {
		case err != nil:
			r.complain(n, err)
		case !ok:
		case first[subnet] != 0:
			r.complain(n, fmt.Errorf("%v is already on line %d; keep one of them", subnet, first[subnet]))
		case len(rows) == maxSubnets:
			r.complain(n, fmt.Errorf("a file has at most %d subnets; join those of one place into larger ones", maxSubnets))
			return nil
		default:
			first[subnet] = n
			rows = append(rows, subnetRow{subnet, path, n})
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		r.complain(n+1, fmt.Errorf("the line is longer than %d bytes; is this a file of subnets?", maxLine))
	} else if err := lines.Err(); err != nil {
		r.complain(n+1, err)
	}
	return rows
}

func (r *subnetReader) complain(line int32, err error) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %w", r.file, line, err))
}

// row reads a line. Without an error and not ok it has nothing but a comment.
func (r *subnetReader) row(text string) (subnet netip.Prefix, path string, ok bool, err error) {
	text, _, _ = strings.Cut(text, "#")
	if text = strings.TrimSpace(text); text == "" {
		return subnet, "", false, nil
	}
	first, path, found := strings.Cut(text, ",")
	if !found {
		return subnet, "", false, fmt.Errorf("%s has no comma; write a subnet and a path, as in 10.1.2.0/24, %s", quote(text), r.example())
	}
	if subnet, err = parseSubnet(unquoted(first)); err != nil {
		return subnet, "", false, err
	}
	path = unquoted(path)
	return subnet, path, true, r.tree.check(path)
}

// example is a path that the tree would take.
func (r *subnetReader) example() string { return strings.Join(r.tree.levels, "/") }

// unquoted is a field of a line without the spaces and quotes around it.
func unquoted(field string) string {
	field = strings.TrimSpace(field)
	if n := len(field); n >= 2 && field[0] == '"' && field[n-1] == '"' {
		field = strings.TrimSpace(field[1 : n-1])
	}
	return field
}

// parseSubnet reads a subnet. One of IPv4-mapped addresses is the IPv4 subnet.
func parseSubnet(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
			return p, fmt.Errorf("%v is an address; for it alone write %v/%d", ip, ip, ip.BitLen())
		}
		return p, fmt.Errorf("%s is no subnet such as 10.1.2.0/24 or 2001:db8::/64", quote(text))
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%v has bits behind its prefix; write %v, or %v/%d for the address alone", p, p.Masked(), p.Addr(), p.Addr().BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}
