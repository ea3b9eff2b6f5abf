package main

import (
	"go.opentelemetry.io/otel/trace"

	"waggle/traces"
)

// openTraces begins to send traces, if there is somebody to send them to.
func (s *service) openTraces(environ []string) error {
	c := s.config.Traces
	if c.Endpoint == "" {
		return nil
	}
	headers, err := traces.HeadersFrom(environ)
	if err != nil {
		return err
	}
	s.traces, err = traces.Open(traces.Options{
		Endpoint: string(c.Endpoint), Headers: headers, Share: float64(c.Share), Version: version, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.log.Info("announces that leave this machine are traced", "receiver", c.Endpoint, "share", c.Share)
	return nil
}

// tracer makes spans; nil: nobody wants any.
func (s *service) tracer() trace.Tracer {
	if s.traces == nil {
		return nil
	}
	return s.traces.Tracer()
}

func (s *service) closeTraces() {
	if s.traces != nil {
		s.traces.Close()
	}
}
