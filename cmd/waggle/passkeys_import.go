package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"waggle/console/client"
	"waggle/passkey"
)

// openInput opens a file, or standard input as "-".
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
}

func newPasskeysImportCommand() *cobra.Command {
	var console consoleFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take over the passkeys of another tracker",
		Long: `Take over the passkeys of another tracker: FILE, or standard input as "-", has one on each line, and
after it, with a tab or a space between, the name of whose it is. A passkey is 32 or 40
characters, each a to z or 0 to 9. Empty lines and those that begin with # are left out. A file with a mistake
is refused whole. Those that the tracker has already are left out, so that it may be
done again.`,
		Example: `  waggle passkeys import passkeys.txt --token-file operator.token
  mysql -N -e 'select passkey, name from users' site | waggle passkeys import -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes one argument, a file of passkeys, and has %d; see %[1]s --help", cmd.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return importPasskeys(cmd, &console, args[0]) },
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}

func importPasskeys(cmd *cobra.Command, console *consoleFlags, path string) error {
	in, err := openInput(cmd, path)
	if err != nil {
		return err
	}
	wanted, err := readPasskeys(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c, err := console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	there, err := c.Passkeys(cmd.Context(), client.PasskeyQuery{})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for i := range there {
		if there[i].Key == "" {
			return errors.New("with the role viewer no passkeys are shown, nor made: give the token of an operator by --token-file")
		}
		known[there[i].Key] = true
	}
	var missing []client.NewPasskey
	for _, n := range wanted {
		if !known[n.Key] {
			missing = append(missing, n)
		}
	}
	made, err := createPasskeys(cmd.Context(), c, missing)
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s made, %s there already\n", humanize.Comma(int64(len(made))), humanize.Comma(int64(len(wanted)-len(missing))))
	if err != nil {
		return fmt.Errorf("%w; import again to go on", err)
	}
	return nil
}

// maxPasskeyLine bounds a line of a file of passkeys, in bytes.
const maxPasskeyLine = 4096

// readPasskeys reads passkeys, one on each line, with the name behind it. An error names the line,
// and no passkey.
func readPasskeys(r io.Reader) ([]client.NewPasskey, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxPasskeyLine)
	var all []client.NewPasskey
	seen := map[string]int{}
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, name := line, ""
		if at := strings.IndexAny(line, " \t"); at >= 0 {
			key, name = line[:at], strings.TrimSpace(line[at:])
		}
		switch {
		case !passkey.IsKey(key):
			return nil, fmt.Errorf("line %d: a passkey is 32 or 40 characters, each a to z or 0 to 9, and this has %d", n, len(key))
		case seen[key] > 0:
			return nil, fmt.Errorf("line %d: this passkey is on line %d already", n, seen[key])
		case !utf8.ValidString(name):
			return nil, fmt.Errorf("line %d: the name is no UTF-8", n)
		}
		seen[key] = n
		all = append(all, client.NewPasskey{Key: key, Name: name})
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: longer than %d bytes", n+1, maxPasskeyLine)
	} else if err != nil {
		return nil, err
	}
	return all, nil
}
