// Package client speaks the API of a running waggle (see docs/api.md): it uploads
// torrents, and asks for transfers and peers. The types here are the API's own;
// package console answers with the same.
//
//	c, err := client.New("http://127.0.0.1:6970", "")
//	transfer, err := c.Upload(ctx, "image.iso.torrent", metainfo)
package client
