package link

import (
	"time"

	"waggle/link/core"
)

// gauge measures for how long changes of this tracker wait for a link, from when the store
// told of them: in the lanes, and for room on the link. It follows one at a time.
type gauge struct {
	of    core.LinkID   // what is below is of
	began time.Time     // the change that is followed was told then; zero: none is
	due   uint64        // it has left when so many have
	took  time.Duration // of the latest that has left
}

// look takes in how a link is now. since is when the first change came of those that the
// node has just taken in; zero: there were none.
func (g *gauge) look(now, since time.Time, f *core.LinkFigures) {
	if g.of != f.Link {
		*g = gauge{of: f.Link}
	}
	if !f.Up {
		return
	}
	if g.began.IsZero() {
		if since.IsZero() {
			return
		}
		g.began, g.due = since, f.ChangesOut+uint64(f.Waiting)
	}
	if f.Waiting == 0 || f.ChangesOut >= g.due {
		g.took, g.began = now.Sub(g.began), time.Time{}
	}
}

// delay returns how long changes wait.
func (g *gauge) delay(now time.Time) time.Duration {
	if g.began.IsZero() {
		return g.took
	}
	return max(g.took, now.Sub(g.began))
}

// gauge looks at all links, after the node was told what has changed, and has sent what it
// could.
func (l *Links) gauge(now time.Time) {
	since := l.drained
	if since.IsZero() && !l.gauging {
		return
	}
	l.drained, l.gauging = time.Time{}, false
	for _, f := range l.node.Links() {
		g := &l.know(f.Name).gauge
		g.look(now, since, &f)
		l.gauging = l.gauging || !g.began.IsZero()
	}
}
