package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/console/client"
)

// tokenEdit is the flags of "token edit".
type tokenEdit struct {
	console  consoleFlags
	role     string
	expires  string
	newToken bool
	password passwordFlags
}

func (e *tokenEdit) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&e.role, "role", "", "viewer, operator or admin")
	flags.StringVar(&e.expires, "expires", "", "how long it lasts from now on, such as 90d or 12h, or never")
	flags.BoolVar(&e.newToken, "new-token", false, "make a token in place of what it has, and print it")
	e.password.add(flags)
	e.console.add(flags)
}

func newTokenEditCommand() *cobra.Command {
	var e tokenEdit
	cmd := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change an account of a running tracker",
		Long: `Change an account of a running tracker: what it may do, how long it lasts, or what it
proves itself by. What no flag names stays. Its sessions end, and with a new token or
password the old one is good no more. A new token is not shown again: it is printed
alone to standard output.`,
		Example: `  waggle token edit ci --role viewer --token-file admin.token
  waggle token edit ci --expires never --token-file admin.token
  (umask 077; waggle token edit ci --new-token --token-file admin.token > ci.token)`,
		Args: exactlyOneName,
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, args[0], time.Now()) },
	}
	e.add(cmd.Flags())
	return cmd
}

func (e *tokenEdit) run(cmd *cobra.Command, name string, now time.Time) error {
	edit, err := e.edit(cmd, now)
	if err != nil {
		return err
	}
	c, err := e.console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	changed, err := c.EditAccount(cmd.Context(), name, edit)
	if err != nil {
		return err
	}
	if changed.Token != "" {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), changed.Token); err != nil {
			return fmt.Errorf("the account has a new token, which could not be written; make another one: %w", err)
		}
	}
	_, _ = fmt.Fprint(cmd.ErrOrStderr(), aboutAccount(&changed)) // it is changed, whoever reads this
	return nil
}

// edit returns the change that the flags say.
func (e *tokenEdit) edit(cmd *cobra.Command, now time.Time) (edit client.AccountEdit, err error) {
	edit = client.AccountEdit{Role: e.role, Expires: e.expires, NewToken: e.newToken}
	if e.expires != "" && e.expires != "never" {
		at, err := expiryIn(e.expires, now)
		if err != nil {
			return edit, usageError{fmt.Errorf("--expires: %w", err)}
		}
		edit.Expires = at.Format(time.RFC3339)
	}
	if edit.Password, err = e.password.read(cmd); err != nil {
		return edit, err
	}
	switch {
	case edit == client.AccountEdit{}:
		return edit, usageError{errors.New("say what to change: --role, --expires, --new-token, --ask-password or --password-file")}
	case edit.NewToken && edit.Password != "":
		return edit, usageError{errors.New("--new-token, or a password: give one of them")}
	}
	return edit, nil
}
