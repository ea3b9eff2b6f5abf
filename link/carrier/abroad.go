package carrier

import (
	"context"
	"errors"
	"strings"
	"time"
)

// keepOutside keeps a connection to a NATS that is there already, until ctx ends.
func (h *Hub) keepOutside(ctx context.Context) {
	wait := h.o.pace.retry / 8
	for ctx.Err() == nil {
		opened, err := h.visitOutside(ctx)
		if ctx.Err() != nil {
			return
		}
		wait = min(2*wait, h.o.pace.retry)
		var refusal *Refusal
		if errors.As(err, &refusal) {
			wait = h.o.pace.refused
		} else if opened {
			wait = h.o.pace.retry / 8
		}
		h.setOutside(err)
		if h.said.fresh(err.Error()) {
			h.o.Log.Warn("the NATS of the links is not reached; it is tried again", "address", h.o.Outside.host(), "why", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (h *Hub) setOutside(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outside = err
}

// visitOutside connects, and attends to leaves until the connection is closed.
func (h *Hub) visitOutside(ctx context.Context) (opened bool, err error) {
	w, err := h.o.Outside.open(ctx, h.o.Dial, h.o.pace)
	if err != nil {
		return false, explain(err)
	}
	prefix := h.o.Outside.prefix()
	_, err = w.hear(prefix+".knock.*", func(b []byte, subject string) { h.knockedOutside(w, subject, b) })
	if err != nil {
		w.close()
		return false, err
	}
	h.setOutside(nil)
	h.o.Log.Info("the NATS of the links is reached", "address", h.o.Outside.host())
	select {
	case <-ctx.Done():
	case <-w.closed:
	}
	err = explain(w.fault())
	for _, d := range h.allDesks() {
		if ctx.Err() == nil {
			d.fail(err)
			h.dropDesk(d)
		} else {
			d.close("the hub stops", 0)
		}
	}
	w.close()
	return true, err
}

// knockedOutside has a desk answer, or refuses who is not in the book.
func (h *Hub) knockedOutside(w *wire, subject string, b []byte) {
	name := subject[strings.LastIndexByte(subject, '.')+1:]
	if CheckName(name) != nil {
		return
	}
	d := &desk{hub: h, name: name}
	prefix := h.o.Outside.prefix()
	post := func(frame []byte) error { return w.nc.Publish(prefix+".down."+name, frame) }
	d.connect(post, w.flush, nil)
	if _, known := h.o.Book.Find(name); !known {
		d.knocked(b, subject) // which says so
		return
	}
	h.mu.Lock()
	old := h.desks[name]
	if old == nil && !h.stopped {
		h.desks[name] = d
	}
	closed := h.stopped
	h.mu.Unlock()
	switch {
	case closed:
		return
	case old != nil:
		d = old
	default:
		stop, err := w.hear(prefix+".up."+name, d.arrived)
		if err != nil {
			h.dropDesk(d)
			return
		}
		if !d.connect(post, w.flush, stop) {
			stop()
			return
		}
	}
	d.knocked(b, subject)
}
