package websocket

import "sync/atomic"

// budget bounds the bytes that all connections together keep of messages: those that
// clients have yet to take, and those that they have yet to send the rest of.
type budget struct {
	most int64 // 0: any number
	used atomic.Int64
}

// take takes n bytes, or none where there are not as many.
func (b *budget) take(n int) (ok bool) {
	if b.used.Add(int64(n)) > b.most && b.most > 0 {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }
