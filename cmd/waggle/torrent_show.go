package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/torrent"
)

// torrentPrinting is the flags of "waggle torrent show".
type torrentPrinting struct {
	json  bool
	files bool
}

func newTorrentShowCommand() *cobra.Command {
	var p torrentPrinting
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print what a .torrent file says",
		Long: `Print what a .torrent file says: name, info hash, sizes, trackers by tier, files,
and a magnet link. Torrents of version 1, version 2 and hybrid ones are read.

With --json the output is one object. Lengths are in bytes; announce_list holds
the tiers; info_hash is the hash by which trackers know the torrent, and
info_hash_v2 the whole hash of version 2; keys without a value are left out.`,
		Example: `  waggle torrent show image.iso.torrent
  waggle torrent show --json image.iso.torrent | jq -r .info_hash`,
		Args:              oneArgument("a .torrent file"),
		ValidArgsFunction: completeTorrentFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := torrent.Read(args[0])
			if err != nil {
				return err
			}
			return p.print(cmd.OutOrStdout(), m)
		},
	}
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON, with all files")
	cmd.Flags().BoolVar(&p.files, "files", false, "print all files, not just the first 20")
	return cmd
}

func (p *torrentPrinting) print(w io.Writer, m *torrent.Metainfo) error {
	if p.json {
		return printJSON(w, torrentInJSON(m))
	}
	_, err := io.WriteString(w, p.text(m))
	return err
}

func (p *torrentPrinting) text(m *torrent.Metainfo) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, printable(value))
		}
	}
	field("Name", m.Name)
	field("Info hash", m.InfoHash().String())
	if m.Version != torrent.V1 {
		field("Info hash v2", m.InfoHashV2.String())
	}
	field("Version", m.Version.String())
	field("Size", fmt.Sprintf("%s (%s bytes) in %s", iec(m.Length), humanize.Comma(m.Length), count(len(m.Files), "file")))
	field("Pieces", fmt.Sprintf("%s of %s", humanize.Comma(m.PieceCount), iec(m.PieceLength)))
	field("Private", map[bool]string{true: "yes", false: "no"}[m.Private])
	field("Source", m.Source)
	field("Comment", m.Comment)
	if !m.CreationDate.IsZero() {
		field("Created", m.CreationDate.Format("2006-01-02 15:04:05 MST"))
	}
	field("Created by", m.CreatedBy)
	for i, tier := range m.Trackers() {
		for _, tracker := range tier {
			field("Tracker "+strconv.Itoa(i+1), tracker)
		}
	}
	for _, seed := range m.WebSeeds {
		field("Web seed", seed)
	}
	field("Magnet", m.Magnet())
	p.appendFiles(&b, m)
	return b.String()
}

func (p *torrentPrinting) appendFiles(b *strings.Builder, m *torrent.Metainfo) {
	const limit = 20
	shown := m.Files
	if len(shown) > limit && !p.files {
		shown = shown[:limit]
	}
	b.WriteString("Files\n")
	for _, f := range shown {
		fmt.Fprintf(b, "  %10s  %s\n", iec(f.Length), printable(f.Path))
	}
	if rest := len(m.Files) - len(shown); rest > 0 {
		fmt.Fprintf(b, "  and %s more; --files prints all\n", count(rest, "file"))
	}
}

// torrentJSON is what "waggle torrent show --json" prints. Its names stay.
type torrentJSON struct {
	Name         string              `json:"name"`
	InfoHash     bittorrent.InfoHash `json:"info_hash"`
	InfoHashV2   string              `json:"info_hash_v2,omitempty"`
	Version      string              `json:"version"`
	Length       int64               `json:"length"`
	PieceLength  int64               `json:"piece_length"`
	Pieces       int64               `json:"pieces"`
	Private      bool                `json:"private"`
	Source       string              `json:"source,omitempty"`
	Comment      string              `json:"comment,omitempty"`
	CreatedBy    string              `json:"created_by,omitempty"`
	CreationDate *time.Time          `json:"creation_date,omitempty"`
	AnnounceList [][]string          `json:"announce_list,omitempty"`
	WebSeeds     []string            `json:"web_seeds,omitempty"`
	Magnet       string              `json:"magnet"`
	Files        []torrentFileJSON   `json:"files"`
}

type torrentFileJSON struct {
	Path   string `json:"path"`
	Length int64  `json:"length"`
}

func torrentInJSON(m *torrent.Metainfo) torrentJSON {
	out := torrentJSON{
		Name: m.Name, InfoHash: m.InfoHash(), Version: m.Version.String(),
		Length: m.Length, PieceLength: m.PieceLength, Pieces: m.PieceCount,
		Private: m.Private, Source: m.Source, Comment: m.Comment, CreatedBy: m.CreatedBy,
		AnnounceList: m.Trackers(), WebSeeds: m.WebSeeds, Magnet: m.Magnet(),
	}
	if m.Version != torrent.V1 {
		out.InfoHashV2 = m.InfoHashV2.String()
	}
	if !m.CreationDate.IsZero() {
		out.CreationDate = &m.CreationDate
	}
	for _, f := range m.Files {
		out.Files = append(out.Files, torrentFileJSON(f))
	}
	return out
}
