package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"waggle/bittorrent"
	"waggle/console/client"
)

// findPlaces returns the places of the torrents that an argument names.
func findPlaces(ctx context.Context, c *client.Client, args []string) ([]client.Place, error) {
	if h, err := bittorrent.ParseInfoHash(args[0]); err == nil {
		return c.Places(ctx, h)
	}
	transfers, err := findTransfers(ctx, c, args)
	places := []client.Place{}
	for i := range transfers {
		if err == nil {
			var more []client.Place
			more, err = c.Places(ctx, transfers[i].InfoHash)
			places = append(places, more...)
		}
	}
	return places, err
}

func printPlaces(w io.Writer, places []client.Place) error {
	if len(places) == 0 {
		_, err := fmt.Fprintln(w, "no peer of it is located")
		return err
	}
	var t bytes.Buffer
	fmt.Fprintln(&t, "level\tseeders\tleechers\tdone\tleases\torphans\tacross uplink\tstate\tlocation\t  representatives")
	for i := range places {
		p := &places[i]
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t%s\t%s\t<= %s\t%s\t%s\t  %s\n",
			printable(p.Level), commas(p.Seeders), commas(p.Leechers), shareOf(p), commas(p.Leases), commas(p.Orphans),
			iec(max(p.ImportedAtMost, 0)), stateOf(p), printable(p.Path), representatives(p))
	}
	return printAligned(w, &t)
}

// shareOf is how much of the torrent the peers of a place have.
func shareOf(p *client.Place) string {
	if p.Progress == nil {
		return "-"
	}
	return percentage(*p.Progress)
}

// stateOf says of a place whether it goes on.
func stateOf(p *client.Place) string {
	switch {
	case p.Waiting:
		return "waiting"
	case p.Starving:
		return "starving"
	case p.Leechers > 0:
		return "incomplete"
	case p.Seeders > 0:
		return "complete"
	}
	return "empty"
}

// representatives are those that may carry data across the uplink of a place.
func representatives(p *client.Place) string {
	var all []string
	for _, of := range []struct {
		what  string
		peers []string
	}{{"in", p.Importers}, {"out", p.Exporters}} {
		if len(of.peers) > 0 {
			all = append(all, of.what+" "+printable(strings.Join(of.peers, ", ")))
		}
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, "; ")
}
