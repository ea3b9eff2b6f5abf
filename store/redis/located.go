package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"

	"github.com/redis/rueidis"

	"waggle/store/shared"
)

// peerMap is the map of located peers, of which a step is one script call.
type peerMap struct {
	server *server
}

var _ shared.Map = (*peerMap)(nil)

// Map returns the map of located peers, which package shared keeps.
func (s *Store) Map() shared.Map { return &peerMap{s.server} }

// Update is documented at [shared.Map].
func (m *peerMap) Update(ctx context.Context, u *shared.Update, answer *shared.Answer) error {
	if len(u.Announced) > shared.MaxCommit || len(u.Commit) > shared.MaxCommit || len(u.Commit) > 0 && u.Known == nil {
		return fmt.Errorf("redis: a step of %d values and %d records for %v", len(u.Announced), len(u.Commit), u.InfoHash)
	}
	epoch, step, commit := "", "0", "0"
	if fields := strings.Fields(string(u.Known)); len(fields) == 3 {
		epoch, step, commit = fields[0], fields[1], fields[2]
	}
	args := make([]string, 0, 6+2*len(u.Announced)+2*len(u.Commit))
	args = append(args, epoch, step, commit, rand.Text()[:13], decimal(m.server.options.Now().Unix()), decimal(int64(len(u.Announced))))
	for _, list := range [...][]shared.Entry{u.Announced, u.Commit} {
		for _, e := range list {
			value := ""
			if e.Value != nil {
				value = "v" + string(e.Value)
			}
			args = append(args, address(e.Peer), value)
		}
	}
	reply, err := m.server.run(ctx, locatedScript, m.server.keys.part(&u.InfoHash, 0), args...)
	if err != nil {
		return err
	}
	return readStep(reply, answer)
}

// readStep reads what located.lua answers.
func readStep(reply rueidis.RedisMessage, answer *shared.Answer) error {
	list, err := reply.ToArray()
	if err != nil || len(list)%2 != 1 {
		return fmt.Errorf("%w: a step's", errAnswer)
	}
	head, err := list[0].ToString()
	if err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	fields := strings.Fields(head)
	if len(fields) != 5 {
		return fmt.Errorf("%w: a step's is %.80q", errAnswer, head)
	}
	answer.Version = []byte(strings.Join(fields[:3], " "))
	answer.Whole, answer.Conflict = fields[3] == "1", fields[4] == "1"
	answer.Announced, answer.Records = answer.Announced[:0], answer.Records[:0]
	for i := 1; i < len(list); i += 2 {
		entry, record, err := readEntry(list[i], list[i+1])
		switch {
		case err != nil:
			return err
		case record:
			answer.Records = append(answer.Records, entry)
		default:
			answer.Announced = append(answer.Announced, entry)
		}
	}
	return nil
}

// readEntry reads a value, whose name begins with what it is.
func readEntry(name, value rueidis.RedisMessage) (e shared.Entry, record bool, err error) {
	text, err := name.ToString()
	if err != nil || text == "" || text[0] != 'a' && text[0] != 'r' {
		return e, false, fmt.Errorf("%w: a located peer is %.60q", errAnswer, text)
	}
	if e.Peer, err = netip.ParseAddrPort(text[1:]); err != nil {
		return e, false, fmt.Errorf("%w: a located peer is %.60q", errAnswer, text)
	}
	if value.IsNil() {
		return e, text[0] == 'r', nil
	}
	said, err := value.ToString()
	if err != nil {
		return e, false, fmt.Errorf("%w: %w", errAnswer, err)
	}
	e.Value = []byte(said)
	return e, text[0] == 'r', nil
}
