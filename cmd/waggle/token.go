package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"waggle/console/client"
)

func newTokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Say who may use the console and the API of a running tracker",
		Long: `Say who may use the console and the API of a running tracker: make accounts, list,
change and delete them. An account has a role (a viewer reads; an operator also changes
torrents; an admin also manages accounts) and either a token or a password.

Until there is an account, this machine may do everything, and no other anything.
The first account must be an admin. From then on this machine may only read, and
these commands need the token of an admin: --token-file.`,
		Example: `  waggle token create anna --role admin
  waggle token list --token-file admin.token
  waggle token edit ci --role viewer --token-file admin.token
  waggle token delete ci --token-file admin.token`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreateCommand(), newTokenListCommand(), newTokenEditCommand(), newTokenDeleteCommand())
	return cmd
}

// newToken is the flags of "token create".
type newToken struct {
	console  consoleFlags
	role     string
	expires  string
	password passwordFlags
}

func (n *newToken) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&n.role, "role", "", "viewer, operator or admin")
	flags.StringVar(&n.expires, "expires", "never", "how long it lasts, such as 90d or 12h, or never")
	n.password.add(flags)
	n.console.add(flags)
}

func newTokenCreateCommand() *cobra.Command {
	var n newToken
	cmd := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make an account, and print its token",
		Long: `Make an account, and print its token, which is not shown again, alone to standard
output; what there is to say goes to standard error. With --ask-password or
--password-file the account has that password, with which one logs in to the
console's pages, and nothing is printed to standard output.`,
		Example: `  (umask 077; waggle token create anna --role admin > admin.token)
  (umask 077; waggle token create ci --role operator --expires 90d --token-file admin.token > ci.token)
  waggle token create bert --role viewer --ask-password --token-file admin.token
  waggle transfers --console https://tracker.example --token-file ci.token`,
		Args: exactlyOneName,
		RunE: func(cmd *cobra.Command, args []string) error { return n.run(cmd, args[0], time.Now()) },
	}
	n.add(cmd.Flags())
	return cmd
}

func exactlyOneName(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usageError{fmt.Errorf("%s takes one argument, the name of an account, and has %d; see %[1]s --help", cmd.CommandPath(), len(args))}
}

func (n *newToken) run(cmd *cobra.Command, name string, now time.Time) error {
	wanted := client.NewAccount{Name: name, Role: n.role}
	if !utf8.ValidString(name) {
		return usageError{errors.New("the name is no UTF-8")} // JSON would have another one
	}
	if n.role == "" {
		return usageError{errors.New("say what the account may do: --role viewer, --role operator or --role admin")}
	}
	var err error
	if wanted.Expires, err = expiryIn(n.expires, now); err != nil {
		return usageError{fmt.Errorf("--expires: %w", err)}
	}
	if wanted.Password, err = n.password.read(cmd); err != nil {
		return err
	}
	c, err := n.console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return createAccount(cmd, c, wanted)
}

func createAccount(cmd *cobra.Command, c *client.Client, wanted client.NewAccount) error {
	self, err := c.Self(cmd.Context())
	if err != nil {
		return err
	}
	created, err := c.CreateAccount(cmd.Context(), wanted)
	if err != nil {
		return err
	}
	if created.Token != "" {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), created.Token); err != nil {
			return fmt.Errorf("the account was made, but its token could not be written; delete the account (waggle token delete %s) and make it again: %w",
				printable(created.Name), err)
		}
	}
	text := aboutAccount(&created)
	if self.Via == "loopback" {
		text += "this is the first account: from now on the console wants a token or a log-in for what changes something, from this machine too, " +
			"and after a restart it may listen beyond loopback (listen.console)\n"
	}
	_, _ = fmt.Fprint(cmd.ErrOrStderr(), text) // the account is there, whoever reads this
	return nil
}

// aboutAccount says what an account is that was made or changed just now.
func aboutAccount(a *client.AccountWithToken) string {
	lasts := "does not expire"
	if !a.Expires.IsZero() {
		lasts = "expires at " + a.Expires.UTC().Format(time.RFC3339)
	}
	text := fmt.Sprintf("account %s: %s, %s\n", printable(a.Name), a.Role, lasts)
	if a.Token != "" {
		text += "this token is not shown again: keep it in a file that others cannot read\n"
	}
	return text
}

// expiryIn returns when something expires that lasts as long as text says; zero: never.
func expiryIn(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	const most = 100 * 365 // days
	var lasts time.Duration
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > most {
			return time.Time{}, fmt.Errorf("%.40q is no number of days from 1 to %d, such as 90d", text, most)
		}
		lasts = time.Duration(n) * 24 * time.Hour
	} else {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil || lasts <= 0 || lasts > most*24*time.Hour {
			return time.Time{}, fmt.Errorf("%.40q does not say how long: write 90d, 12h30m or never", text)
		}
	}
	return now.Add(lasts).UTC().Truncate(time.Second), nil
}

// passwordFlags say where a password comes from.
type passwordFlags struct {
	file string
	ask  bool
}

func (p *passwordFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&p.file, "password-file", "", "`FILE` of one line, a password in place of a token")
	flags.BoolVar(&p.ask, "ask-password", false, "ask for a password in place of a token")
}

// read returns the password that the flags say, or "".
func (p *passwordFlags) read(cmd *cobra.Command) (string, error) {
	switch {
	case p.ask && p.file != "":
		return "", usageError{errors.New("--ask-password and --password-file: give one of them")}
	case p.file != "":
		return readPassword(p.file)
	case p.ask:
		return askPassword(cmd)
	}
	return "", nil
}

// maxPasswordFile bounds a file with a password, in bytes; what a password may be is
// for the tracker to say.
const maxPasswordFile = 4096

// readPassword returns the only line of a file. It refuses one that others than its
// owner and group may read.
func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	// Windows has no such permissions, and Go says there that all may read.
	if runtime.GOOS != "windows" && stat.Mode().IsRegular() && stat.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("--password-file: anybody on this machine may use it: chmod o-rwx %s", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if line == "" || len(b) > maxPasswordFile || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
		return "", fmt.Errorf("--password-file: %s is not one line with a password, in UTF-8", path)
	}
	return line, nil
}

// askPassword asks at the terminal, twice.
func askPassword(cmd *cobra.Command) (string, error) {
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", usageError{errors.New("--ask-password asks at a terminal, and this is none: use --password-file")}
	}
	var answers [2]string
	for i, prompt := range []string{"password: ", "once more: "} {
		_, _ = fmt.Fprint(cmd.ErrOrStderr(), prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("the password could not be read: %w", err)
		}
		answers[i] = string(b)
	}
	if answers[0] != answers[1] {
		return "", errors.New("these are two passwords: try again")
	}
	if answers[0] == "" || !utf8.ValidString(answers[0]) {
		return "", errors.New("an empty password is none, nor is one that is no UTF-8: try again")
	}
	return answers[0], nil
}

func newTokenListCommand() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print the accounts of a running tracker",
		Long: `Print the accounts of a running tracker, by name: what each may do, what it proves
itself by, since when it is there and when it expires. Tokens are not shown: nobody
keeps them.`,
		Example: `  waggle token list --token-file admin.token
  waggle token list --token-file admin.token --json`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return list(cmd, args, &l, findAccounts, printAccounts) },
	}
	l.add(cmd.Flags())
	return cmd
}

func findAccounts(ctx context.Context, c *client.Client, _ []string) ([]client.Account, error) {
	return c.Accounts(ctx)
}

func printAccounts(w io.Writer, accounts []client.Account) error {
	var t bytes.Buffer
	fmt.Fprintln(&t, "role\tsecret\tcreated\texpires\t  name")
	for i := range accounts {
		a := &accounts[i]
		expires := "never"
		if !a.Expires.IsZero() {
			expires = a.Expires.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t  %s\n", a.Role, a.Secret, a.Created.UTC().Format(time.RFC3339), expires, printable(a.Name))
	}
	return printAligned(w, &t)
}

func newTokenDeleteCommand() *cobra.Command {
	var console consoleFlags
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an account of a running tracker",
		Long: `Delete an account of a running tracker: its sessions end, and its token is good no
more. The last admin cannot be deleted while there are other accounts.`,
		Example: `  waggle token delete ci --token-file admin.token`,
		Args:    exactlyOneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := console.client()
			if err != nil {
				return err
			}
			defer c.Close()
			return c.DeleteAccount(cmd.Context(), args[0])
		},
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}
