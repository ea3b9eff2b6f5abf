package http

import (
	"context"
	"errors"
	"time"
)

// drainTime is how long Close waits for the requests under way.
const drainTime = 5 * time.Second

// Close stops listening, ends the requests under way, and closes the rest. A
// client that has not sent its whole request within five seconds is cut off: that
// loses nothing, and must not keep a tracker from stopping. Once is enough, and
// more do no harm.
func (s *Server) Close() error { return s.closeOnce() }

func (s *Server) drainAndClose() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	close(s.closing)
	err := s.closeListeners()
	s.open.wake()
	drained := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(drained)
	}()
	shut := s.general.Shutdown(ctx)
	late := errors.Is(shut, context.DeadlineExceeded)
	if late {
		shut = s.general.Close()
	}
	select {
	case <-drained:
	case <-ctx.Done():
		late = s.open.cutOff() > 0 || late
	}
	if late {
		s.options.Log.Info("http clients that did not finish in time were cut off", "waited", drainTime)
	}
	s.cancel()
	<-drained
	return errors.Join(err, shut)
}

func (s *Server) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	for _, l := range s.secure {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
