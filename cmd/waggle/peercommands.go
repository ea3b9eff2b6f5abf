//go:build !function

package main

import "github.com/spf13/cobra"

// peerCommands are those that download and upload. The build tag function leaves them
// out, with the library that they are built on, and SQLite: together half of what there
// is to load at a cold start, and nothing that a function could use.
func peerCommands() []*cobra.Command {
	return []*cobra.Command{newPushCommand(), newGetCommand(), newSeedCommand()}
}
