package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/config"
)

func newHealthCommand() *cobra.Command {
	var live bool
	var wait time.Duration
	var caFile string
	timeout := 5 * time.Second
	cmd := &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a running tracker whether it is well",
		Long: `Ask a running tracker whether it is well, print its answer, and exit with 0 where
announces are answered, or else with 1: for containers and supervisors, in which
there may be no shell and no other client.

URL is that of the tracker: an http:// or https:// URL is asked for /health, of a
udp:// URL a connection. Without one, the tracker of this machine is asked that the
same file, environment and flags as those of "waggle serve" describe: at the first
address of listen.http, or else of listen.https, or else of listen.udp. Its certificate
is not looked at, as it is for another name; that of an https:// URL is.

--live asks only whether the process answers. A store on a network that cannot be
reached makes a tracker unwell, but not dead: to restart it would not help.

--wait asks again until it is well, for so long at most: for scripts that have just
started one.`,
		Example: `  waggle health
  waggle health --config /etc/waggle/waggle.yaml
  waggle health http://tracker.example:6969 --timeout 2s
  waggle health udp://tracker.example:6969
  waggle serve & waggle health --wait 10s`,
		Args: atMostOne("the URL of a tracker"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, trust, err := healthTarget(cmd, args, caFile)
			if err != nil {
				return err
			}
			if wait < 0 {
				return usageError{fmt.Errorf("--wait is %v; it cannot be below 0", wait)}
			}
			ask := func(ctx context.Context) (string, error) {
				ctx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				return askHealth(ctx, target, trust, live)
			}
			said, err := askUntilWell(cmd.Context(), wait, ask)
			if err != nil {
				return fmt.Errorf("%s: %w", target, err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the process answers")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait for an answer")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to ask again until it is well; 0: ask once")
	cmd.Flags().StringVar(&caFile, "ca-file", "", "`FILE` with the certificates that vouch for an https:// URL's, in PEM, where the system does not trust it")
	config.AddFlags(cmd.Flags())
	return cmd
}

// betweenQuestions is how long a tracker that is not well is left alone before it is asked again.
const betweenQuestions = 100 * time.Millisecond

// askUntilWell asks once, and again where that fails, for so long at most. The error is that of
// the last question.
func askUntilWell(ctx context.Context, wait time.Duration, ask func(context.Context) (string, error)) (string, error) {
	said, err := ask(ctx)
	if err == nil || wait == 0 {
		return said, err
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		select {
		case <-waiting.Done():
			return "", err
		case <-time.After(betweenQuestions):
		}
		said, again := ask(waiting)
		if again == nil {
			return said, nil
		}
		if waiting.Err() == nil {
			err = again // and not that of a question which the end has cut short
		}
	}
}

// healthTarget returns the tracker that is asked, and whose certificate is believed.
func healthTarget(cmd *cobra.Command, args []string, caFile string) (*url.URL, *tls.Config, error) {
	if len(args) == 0 {
		loaded, err := config.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return nil, nil, err
		}
		target, err := ownTracker(loaded.Config.Listen)
		//nolint:gosec // It is asked by its address on this machine, which no certificate is for, and is told nothing.
		return target, &tls.Config{InsecureSkipVerify: true}, err
	}
	target, err := trackerURL(args[0])
	if err != nil || caFile == "" {
		return target, nil, err
	}
	roots, err := readRoots(caFile)
	return target, &tls.Config{RootCAs: roots}, err
}

// trackerURL reads the URL of a tracker that can be asked.
func trackerURL(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil || target.Host == "" {
		return nil, usageError{fmt.Errorf("%q is no URL of a tracker, such as http://tracker.example:6969", text)}
	}
	switch {
	case target.Scheme != "udp" && target.Scheme != "http" && target.Scheme != "https":
		return nil, usageError{fmt.Errorf("%q: http, https and udp can be asked, not %s", text, target.Scheme)}
	case target.Scheme == "udp" && target.Port() == "":
		return nil, usageError{fmt.Errorf("%q lacks a port, as in udp://%s:6969", text, target.Host)}
	}
	return &url.URL{Scheme: target.Scheme, Host: target.Host}, nil // the rest may hold a passkey, and errors show it
}

// ownTracker returns where the tracker of this machine is asked that listens so.
func ownTracker(l config.Listen) (*url.URL, error) {
	scheme, addresses := "http", l.HTTP
	if len(addresses) == 0 {
		scheme, addresses = "https", l.HTTPS
	}
	if len(addresses) == 0 {
		scheme, addresses = "udp", l.UDP
	}
	if len(addresses) == 0 {
		return nil, errors.New("listen.udp, listen.http and listen.https are all empty: there is nothing to ask")
	}
	host, port, err := net.SplitHostPort(string(addresses[0]))
	if err != nil {
		return nil, err
	}
	if port == "0" {
		return nil, fmt.Errorf("listen.%s is any free port: give the URL that waggle serve has printed", scheme)
	}
	if address, err := netip.ParseAddr(host); host == "" || err == nil && address.IsUnspecified() {
		host = "127.0.0.1"
		if address.Is6() {
			host = "::1"
		}
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}, nil
}

// askHealth returns what a tracker says of itself; an error means that it does not answer announces.
func askHealth(ctx context.Context, target *url.URL, trust *tls.Config, live bool) (string, error) {
	if target.Scheme == "udp" {
		return askOverUDP(ctx, target.Host)
	}
	path := "/health"
	if live {
		path = "/health/live"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String()+path, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust}, // and no proxy: it is this tracker that is asked
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if _, unproven := errors.AsType[*tls.CertificateVerificationError](err); unproven {
		return "", fmt.Errorf("%w: name the file of who vouches for it with --ca-file, or the host that it is for", errors.Unwrap(err))
	}
	if err != nil {
		return "", notAnswered(ctx, errors.Unwrap(err)) // without the URL, which is told already
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return "", err
	}
	said := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, said)
	}
	return said, nil
}

// askOverUDP asks for a connection id (BEP 15), once a second as packets get lost.
func askOverUDP(ctx context.Context, host string) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", host)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	end := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer end()
	transaction := rand.Uint32()
	request, buffer := bittorrent.AppendUDPConnect(nil, transaction), make([]byte, 2048)
	for ctx.Err() == nil {
		if _, err := conn.Write(request); err != nil {
			return "", notAnswered(ctx, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(buffer)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
			return "", notAnswered(ctx, err)
		}
		response, err := bittorrent.ParseUDPResponse(buffer[:n])
		if err != nil || response.TransactionID != transaction {
			continue
		}
		if _, err := response.ConnectionID(); err != nil {
			return "", err
		}
		return "ok", nil
	}
	return "", notAnswered(ctx, ctx.Err())
}

// notAnswered says why there was no answer.
func notAnswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("no answer in time")
	}
	return err
}
