package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"waggle/store/dynamodb"
)

// newDynamoDBCommand returns "waggle dynamodb" and what is below it.
func newDynamoDBCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dynamodb",
		Short: "Prepare a DynamoDB table as a store",
		Long: `Prepare a table of DynamoDB, or of a server that speaks its protocol, as the store
of any number of trackers.`,
		Example: `  waggle dynamodb create-table 'dynamodb://waggle?region=eu-central-1'`,
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCreateTableCommand())
	return cmd
}

func newCreateTableCommand() *cobra.Command {
	var heads int
	cmd := &cobra.Command{
		Use:   "create-table TABLE|URL",
		Short: "Make a table that trackers can keep their swarms in",
		Long: `Make a table that trackers can keep their swarms in, unless it is there, and wait
until it can be used. It is paid by request, and the service deletes what nobody
expired for a day, where it can do such a thing. Doing it again changes nothing.

Credentials come from where AWS programs find them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, a profile, or a role. They must allow CreateTable,
DescribeTable, DescribeTimeToLive, UpdateTimeToLive, GetItem and PutItem.`,
		Example: `  waggle dynamodb create-table waggle
  waggle dynamodb create-table 'dynamodb://waggle?region=eu-central-1'
  waggle dynamodb create-table 'dynamodb://waggle?endpoint=http://127.0.0.1:8000'`,
		Args: oneTable,
		RunE: func(cmd *cobra.Command, args []string) error { return createTable(cmd, args[0], heads) },
	}
	cmd.Flags().IntVar(&heads, "heads", 64, "over how many partitions torrents are spread, a power of two up to 256;\n"+
		"each takes 1,000 peers a second that come, complete or go")
	return cmd
}

func oneTable(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usageError{fmt.Errorf("%s takes one argument, the name of a table or a URL, and has %d; see %[1]s --help", cmd.CommandPath(), len(args))}
}

func createTable(cmd *cobra.Command, table string, heads int) error {
	if !strings.Contains(table, "://") {
		table = "dynamodb://" + table
	}
	o, err := dynamodb.ParseURL(table)
	if err != nil {
		return usageError{fmt.Errorf("the URL of the table: %w", err)}
	}
	o.Heads = heads
	out := cmd.OutOrStdout()
	err = dynamodb.CreateTable(cmd.Context(), o, func(what string) {
		_, _ = fmt.Fprintln(out, what) // it is done, whoever reads this
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	_, err = fmt.Fprintf(out, "trackers can use it now: waggle serve --store '%s'\n", o)
	return err
}
