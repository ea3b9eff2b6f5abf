package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"time"

	aws "github.com/aws/aws-lambda-go/lambda"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/config"
)

// runtimeAPI is the environment variable by which Lambda says where its runtime API is.
const runtimeAPI = "AWS_LAMBDA_RUNTIME_API"

func newLambdaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lambda",
		Short: "Answer events of AWS Lambda",
		Long: `Answer BitTorrent clients as a function of AWS Lambda: announces, scrapes, the public
pages, the API and the console come as events of a Function URL, an API Gateway or
a load balancer, and silent peers are forgotten at the event of a schedule.

Settings are those of "waggle serve", as environment variables. Of listen.* one has
a meaning, WAGGLE_LISTEN_CONSOLE=off. The store must be one on a network, such as
WAGGLE_STORE=dynamodb://waggle?region=eu-central-1. Where Lambda starts waggle
without a command, this is the one. docs/serverless.md leads through it.`,
		Example: `  AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001 WAGGLE_STORE=memory: waggle lambda`,
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveLambda(cmd.Context(), cmd.Flags(), os.Environ(), cmd.ErrOrStderr())
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

// stopTime is how long a function may take to end: Lambda kills it half a second after
// the signal.
const stopTime = 450 * time.Millisecond

// serveLambda answers events until ctx ends, which the signal before the end of the
// environment does. It ends the process where the runtime API does.
func serveLambda(ctx context.Context, flags *pflag.FlagSet, environ []string, stderr io.Writer) error {
	if os.Getenv(runtimeAPI) == "" {
		return usageError{errors.New(runtimeAPI + " is not set: Lambda sets it, and starts this command; \"waggle serve\" is for a machine of one's own")}
	}
	useWhatThereIs()
	f, err := openFunction(ctx, flags, environ, stderr)
	if err != nil {
		return err
	}
	slog.SetDefault(f.log) // the library writes what it has to say with package log
	go aws.StartWithOptions(f.front, aws.WithEnableSIGTERM())
	<-ctx.Done()
	f.log.Info("stopping")
	return f.closeInTime(stopTime)
}

// wholeProcessor is how many megabytes an environment has that has a whole processor.
const wholeProcessor = 1769

// useWhatThereIs has Go use one processor where an environment has no more: it sees two,
// which would wake each other for nothing.
func useWhatThereIs() {
	megabytes, err := strconv.Atoi(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	if err == nil && megabytes <= wholeProcessor && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// closeInTime ends what is under way and closes what is open. What takes longer is left
// to its end with the process.
func (f *function) closeInTime(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- f.close(ctx) }()
	select {
	case err := <-closed:
		if err == nil {
			f.log.Info("stopped; nothing was lost")
		}
		f.closeTracesUntil(ctx)
		return err
	case <-ctx.Done():
		return fmt.Errorf("the store could not be closed within %v", limit)
	}
}

// closeTracesUntil sends what is left of traces, as long as ctx lasts.
func (f *function) closeTracesUntil(ctx context.Context) {
	closed := make(chan struct{})
	go func() {
		f.closeTraces()
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}
