// Package client speaks the API of a running waggle (see docs/api.md): it uploads
// torrents, asks for transfers and peers, and manages accounts. The types here are the
// API's own; package console answers with the same. A client is of another process
// ([New]) or of this one ([Within]).
//
//	c, err := client.New("http://127.0.0.1:6970", "")
//	transfer, err := c.Upload(ctx, "image.iso.torrent", metainfo)
package client
