package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/spf13/cobra"
)

// execute runs a command.
func execute(t *testing.T, cmd *cobra.Command, args []string) error {
	t.Helper()
	_, _, err := output(t.Context(), cmd, args...)
	return err
}

// output runs a command, and returns what it prints.
func output(ctx context.Context, cmd *cobra.Command, args ...string) (stdout, stderr string, err error) {
	var out, problems bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&problems)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(ctx)
	return out.String(), problems.String(), err
}
