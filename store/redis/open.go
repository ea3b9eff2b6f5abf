package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/rueidis"

	"waggle/errno"
	"waggle/swarm"
)

// flushDelay is how long requests wait for others, so that they are sent together: it
// spares Redis and us a seventh of the time.
const flushDelay = 20 * time.Microsecond

// openTime is how long Open may take.
const openTime = 10 * time.Second

var (
	errForeign = errors.New("there are keys of another program: choose another ?prefix= or database")
	errNewer   = errors.New("there are keys of a newer waggle: start that one, or choose another ?prefix= or database")
)

// Open connects to the server, and refuses it where its keys are another program's or of
// a newer waggle, or where it would throw keys away. It takes ten seconds at most.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	v, err := connect(ctx, &o)
	if err != nil {
		return nil, remedy(err)
	}
	if err := v.checkAll(ctx); err != nil {
		v.Close()
		return nil, remedy(err)
	}
	s := newStore(v)
	if err := s.count(ctx); err != nil && !errors.Is(err, swarm.ErrBusy) { // where a part of a cluster is lost, the rest goes on
		v.Close()
		return nil, remedy(err)
	}
	s.start()
	return s, nil
}

// connect returns a client once a node answers it.
func connect(ctx context.Context, o *Options) (*server, error) {
	open := &lines{guards: map[*guard]struct{}{}}
	option := rueidis.ClientOption{
		InitAddress: o.Addresses, Username: o.User, Password: o.Password, SelectDB: o.DB,
		ClientName: "waggle", ForceSingleClient: !o.Cluster,
		DisableCache: true, DisableRetry: true,
		Dialer:            net.Dialer{Timeout: o.Timeout, KeepAlive: time.Second},
		ConnWriteTimeout:  o.Timeout,
		MaxFlushDelay:     flushDelay,
		AlwaysPipelining:  true,                            // else of two calls that come first on a connection one waits for the other's answer
		RingScaleEachConn: bits.Len(uint(2*o.Pending - 1)), // what was given up may wait beside what was not
		DialCtxFn:         open.dial,
	}
	if o.TLS {
		option.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.CA != "" {
			pem, err := trust(o.CA)
			if err != nil {
				return nil, err
			}
			option.TLSConfig.RootCAs = x509.NewCertPool()
			if !option.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
				return nil, errors.New("the file of ca= in the URL has no certificate")
			}
		}
	}
	client, err := newClient(ctx, option)
	if err != nil {
		return nil, err
	}
	v := &server{Client: client, options: o, keys: newKeys(o.Prefix), lines: open, breakers: make([]breaker, 1), wake: make(chan struct{}, 1), closed: make(chan struct{})}
	if o.Cluster {
		v.breakers = make([]breaker, tags)
	}
	return v, nil
}

// newClient makes a client, which has no context of its own.
func newClient(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	type made struct {
		client rueidis.Client
		err    error
	}
	ready := make(chan made, 1)
	go func() {
		client, err := rueidis.NewClient(option)
		ready <- made{client, err}
	}()
	select {
	case m := <-ready:
		return m.client, m.err
	case <-ctx.Done():
		go func() {
			if m := <-ready; m.err == nil {
				m.client.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// checkAll checks each node, and the schema.
func (v *server) checkAll(ctx context.Context) error {
	if v.options.Cluster && v.Mode() != rueidis.ClientModeCluster {
		return errors.New("the server is not part of a cluster: write redis:// instead of redis+cluster://")
	}
	nodes := map[string]rueidis.Client{v.options.Addresses[0]: v.Client}
	if v.options.Cluster {
		nodes = v.Nodes()
	}
	for address, node := range nodes {
		info, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if said, ok := rueidis.IsRedisErr(err); !ok && err != nil && v.options.Cluster {
			v.options.Log.Warn("store: a node of the cluster cannot be asked", "address", address, "error", err)
			continue
		} else if ok && strings.HasPrefix(said.Error(), "NOPERM") {
			v.options.Log.Warn("store: the user may not ask INFO: nobody checks that Redis keeps all keys (maxmemory-policy noeviction)")
			break
		}
		if err != nil {
			return err
		}
		if err := v.checkNode(address, facts(info)); err != nil {
			return err
		}
	}
	if err := v.checkSchema(ctx); err != nil {
		return err
	}
	return v.shareSeed(ctx)
}

// shareSeed takes the seed that trackers on this server share: from it follows which of
// many neighbours a located peer is told of, by each tracker the same.
func (v *server) shareSeed(ctx context.Context) error {
	if err := v.keepSeed(ctx, rand.Text()); err != nil {
		return err
	}
	text, err := v.Do(ctx, v.B().Get().Key(v.keys.seed()).Build()).ToString()
	sum := sha256.Sum256([]byte(text))
	v.seedText, v.seed = text, [2]uint64{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
	return err
}

// keepSeed sets the seed where there is none.
func (v *server) keepSeed(ctx context.Context, text string) error {
	err := v.Do(ctx, v.B().Set().Key(v.keys.seed()).Value(text).Nx().Build()).Error()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return err
}

// facts reads an answer to INFO.
func facts(info string) map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}

func (v *server) checkNode(address string, facts map[string]string) error {
	major, rest, _ := strings.Cut(facts["redis_version"], ".")
	minor, _, _ := strings.Cut(rest, ".")
	if a, err := strconv.Atoi(major); err == nil {
		if b, err := strconv.Atoi(minor); err == nil && (a < 6 || a == 6 && b < 2) {
			return fmt.Errorf("%s is Redis %s: waggle needs 6.2 or later", address, facts["redis_version"])
		}
	}
	if facts["cluster_enabled"] == "1" && !v.options.Cluster {
		return errors.New("the server is a node of a cluster: write redis+cluster:// instead of redis://")
	}
	if facts["maxmemory"] == "" || facts["maxmemory"] == "0" {
		return nil
	}
	switch policy := facts["maxmemory_policy"]; {
	case strings.HasPrefix(policy, "allkeys-"):
		return fmt.Errorf("%s throws keys away when its memory is full (maxmemory-policy %s): set maxmemory-policy noeviction there", address, policy)
	case strings.HasPrefix(policy, "volatile-"):
		v.options.Log.Warn("store: set maxmemory-policy noeviction in Redis", "address", address, "policy", policy)
	}
	return nil
}

// remedy says what to do about an error of a connection.
func remedy(err error) error {
	text := err.Error()
	var network net.Error
	var certificate *tls.CertificateVerificationError
	switch word := word(text); {
	case errors.Is(err, errForeign) || errors.Is(err, errNewer):
		return err
	case word == "WRONGPASS" || strings.Contains(text, "invalid password") || strings.Contains(text, "invalid username-password"):
		return errors.New("the user or password is wrong: correct it in the URL (redis://user:password@host, or redis://:password@host)")
	case word == "NOAUTH":
		return errors.New("the server wants a password: write redis://:password@host or redis://user:password@host")
	case word == "NOPERM":
		return fmt.Errorf("the user may not do what waggle needs (%s): docs/redis.md says what to allow", text)
	case strings.Contains(text, "DB index is out of range") || strings.Contains(text, "SELECT is not allowed"):
		return errors.New("the server has no such database: correct the number behind the host")
	case strings.Contains(text, "cluster support disabled"):
		return errors.New("the server is not part of a cluster: write redis:// instead of redis+cluster://")
	case errors.As(err, &certificate):
		return fmt.Errorf("%w: name the file of its authority by ?ca=FILE, or correct the host", err)
	case late(err) || errors.As(err, &network) && network.Timeout():
		return errors.New("it does not answer: is it Redis, reachable from here, with TLS where the URL says rediss:// and without where it says redis://?")
	case rueidis.IsParseErr(err) || strings.Contains(text, "unknown message type") || errors.Is(err, errNotRedis),
		errors.Is(err, io.EOF) || errno.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("what answers there is not Redis, or wants TLS (rediss://): %w", err)
	case errors.As(err, &network):
		return fmt.Errorf("%w: start Redis there, or correct host and port in the URL", err)
	}
	return err
}

var _ slog.LogValuer = Options{}

// LogValue is the URL without what is secret.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }
