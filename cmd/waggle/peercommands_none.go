//go:build function

package main

import "github.com/spf13/cobra"

func peerCommands() []*cobra.Command { return nil }
