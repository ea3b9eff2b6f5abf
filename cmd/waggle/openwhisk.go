package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/config"
	"waggle/frontend/lambda"
)

func newOpenWhiskCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "openwhisk",
		Short: "Answer activations of an OpenWhisk action",
		Long: `Answer BitTorrent clients as a raw web action of Apache OpenWhisk, in a container:
what "waggle lambda" answers there, and with the same settings. Those that the
action was created with (wsk action create --env NAME VALUE) win over those of the
container. docs/serverless.md leads through it.`,
		Example: `  WAGGLE_STORE=memory: waggle openwhisk --listen 127.0.0.1:8080`,
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveOpenWhisk(cmd.Context(), cmd.Flags(), listen, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&listen, "listen", ":8080", "`ADDRESS` at which the platform finds the action")
	return cmd
}

// serveOpenWhisk answers activations until ctx ends.
func serveOpenWhisk(ctx context.Context, flags *pflag.FlagSet, listen string, stdout, stderr io.Writer) error {
	var opened atomic.Pointer[function]
	action := lambda.NewAction(lambda.ActionOptions{
		Open: func(ctx context.Context, environment map[string]string) (*lambda.Front, error) {
			if err := adopt(environment); err != nil {
				return nil, err
			}
			f, err := openFunction(ctx, flags, os.Environ(), stderr)
			if err != nil {
				return nil, err
			}
			opened.Store(f)
			return f.front, nil
		},
		Stdout: stdout, Stderr: stderr,
		Log: slog.New(slog.NewJSONHandler(stderr, nil)),
	})
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	_, _ = fmt.Fprintf(stderr, "waggle %s is an OpenWhisk action at %s\n", version, l.Addr())
	server := lambda.ActionServer(action)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		err = errors.Join(server.Shutdown(stop), server.Close())
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}
	if f := opened.Load(); f != nil { // one that is being opened still ends with the process: it has answered nobody
		err = errors.Join(err, f.closeInTime(stopTime))
	}
	return err
}

// adopt makes what was set for the action part of the environment of this process, where
// the SDK of AWS looks for credentials, and OpenTelemetry for headers.
func adopt(set map[string]string) error {
	for name, value := range set {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("the variable %q of the action: %w", name, err)
		}
	}
	return nil
}
