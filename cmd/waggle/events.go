package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"waggle/console/client"
	"waggle/events/signature"
)

func newEventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Check events that a tracker has sent",
		Long: `Check events that a tracker has sent. "waggle serve" sends them to events.webhook and
events.nats, in batches that are signed; docs/events.md has more.`,
		Example: `  waggle events verify batch.json --signature 't=1700000000,v1=5f…' --secret-file events.secret`,
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEventsVerifyCommand())
	return cmd
}

// verifying is the flags of "events verify".
type verifying struct {
	signature  string
	secretFile string
	at         string
	window     time.Duration
}

// maxBatch is the longest batch that is read, in bytes.
const maxBatch = 64 << 20

func newEventsVerifyCommand() *cobra.Command {
	var v verifying
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check the signature of a batch of events",
		Long: `Check the signature of a batch of events, as its receiver has to. FILE is the body as it
came, still compressed if it was; without one it is read from the standard input. The
signature is the header Waggle-Signature of the request, or of the message of a NATS.

It exits with 0 where the signature is good, by any of the secrets in the file, and at
most --window older or newer than --at.`,
		Example: `  waggle events verify batch.json --signature 't=1700000000,v1=5f…' --secret-file events.secret
  waggle events verify --signature "$SIGNATURE" --secret-file events.secret --at 2026-11-22T10:00:00Z < batch.json`,
		Args: atMostOne("a file"),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd, args, time.Now()) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&v.signature, "signature", "", "the `HEADER` Waggle-Signature")
	flags.StringVar(&v.secretFile, "secret-file", "", "`FILE` with the secret, as events.secret_file")
	flags.StringVar(&v.at, "at", "", "the `TIME` to hold the signature against, as 2026-11-22T10:00:00Z (default now)")
	flags.DurationVar(&v.window, "window", signature.Window, "how old or new a signature may be")
	return cmd
}

func (v *verifying) run(cmd *cobra.Command, args []string, now time.Time) error {
	if v.signature == "" || v.secretFile == "" {
		return usageError{errors.New("give --signature, the header Waggle-Signature, and --secret-file")}
	}
	if v.at != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, v.at); err != nil {
			return usageError{fmt.Errorf("--at: %q is no time such as 2026-11-22T10:00:00Z", v.at)}
		}
	}
	texts, err := client.ReadSecrets(v.secretFile)
	if err != nil {
		return fmt.Errorf("--secret-file: %w", err)
	}
	secrets := make([][]byte, len(texts))
	for i, text := range texts {
		secrets[i] = []byte(text)
	}
	body, err := readBatch(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	at, err := signature.Verify(secrets, v.signature, body, now, v.window)
	if err != nil {
		return err
	}
	var batch struct {
		Tracker string `json:"tracker"`
		Batch   string `json:"batch"`
		Count   int    `json:"count"`
	}
	what := fmt.Sprintf("%d bytes", len(body))
	if json.Unmarshal(body, &batch) == nil && batch.Batch != "" {
		what = fmt.Sprintf("batch %s of %s, %s", printable(batch.Batch), printable(batch.Tracker), count(batch.Count, "event"))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %s, signed at %s\n", what, at.UTC().Format(time.RFC3339))
	return err
}

// readBatch reads the file that is named, or the standard input.
func readBatch(in io.Reader, args []string) ([]byte, error) {
	if len(args) > 0 {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxBatch+1))
	if err == nil && len(body) > maxBatch {
		err = fmt.Errorf("it is longer than %d bytes, which no batch is", maxBatch)
	}
	return body, err
}
