package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// ActionOptions are the settings of an action. Open must be given.
type ActionOptions struct {
	// Open is called once, with the environment that the action was created with, and
	// returns what answers requests.
	Open func(ctx context.Context, environment map[string]string) (*Front, error)

	// Stdout and Stderr take the mark at which the platform knows that an activation
	// has written all of its log. nil: nothing does.
	Stdout, Stderr io.Writer

	Log *slog.Logger // nil: none
}

// Action is a web server of OpenWhisk's protocol (its docs/actions-new.md, "Action
// Interface"): POST /init once, then POST /run for each activation. All methods may be
// called concurrently.
type Action struct {
	o   ActionOptions
	mux *http.ServeMux

	mu    sync.Mutex // held by /init
	front *Front     // nil: not opened yet; under mu
}

// NewAction returns an action.
func NewAction(o ActionOptions) *Action {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Action{o: o, mux: http.NewServeMux()}
	a.mux.HandleFunc("POST /init", a.framed(a.init))
	a.mux.HandleFunc("POST /run", a.framed(a.run))
	return a
}

// ServeHTTP is of [http.Handler].
func (a *Action) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// ActionServer returns a server for an action that has its limits of time.
func ActionServer(a *Action) *http.Server {
	return &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug),
	}
}

// endOfLog is what the platform waits for on both streams of each activation.
const endOfLog = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"

// failure is an error for whoever created the action.
type failure struct {
	status int
	err    error
}

// framed answers with what a step returns, in JSON, and marks the end of its log.
func (a *Action) framed(step func(*http.Request, []byte) (any, *failure)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
		var result any
		failed := &failure{http.StatusRequestEntityTooLarge, errHuge}
		if err == nil {
			result, failed = step(r, payload)
		}
		w.Header().Set("Content-Type", "application/json")
		if failed != nil {
			a.o.Log.Error("the action failed", "path", r.URL.Path, "error", failed.err)
			w.WriteHeader(failed.status)
			result = map[string]string{"error": failed.err.Error()}
		}
		body, _ := marshal(result) // of texts, numbers and what is JSON already
		a.markEnd()
		_, _ = w.Write(body) // a platform that is gone needs no answer
	}
}

// markEnd writes the mark in one write to each stream, so that no line comes between.
func (a *Action) markEnd() {
	for _, stream := range []io.Writer{a.o.Stdout, a.o.Stderr} {
		if stream != nil {
			_, _ = io.WriteString(stream, endOfLog) // a stream that is closed has no reader
		}
	}
}

// initiation is what the platform sends to /init. What it has of code is not looked at:
// the container has it.
type initiation struct {
	Value *struct {
		Env map[string]any `json:"env"`
	} `json:"value"`
}

// Faults of the order of requests.
var (
	errInitTwice  = errors.New("this action was initialised already")
	errNoInit     = errors.New("this action was not initialised: POST /init comes first")
	errInitiation = errors.New("this is no initialisation of OpenWhisk, which has a value")
)

func (a *Action) init(r *http.Request, payload []byte) (any, *failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.front != nil {
		return nil, &failure{http.StatusForbidden, errInitTwice}
	}
	var i initiation
	if err := json.Unmarshal(payload, &i); err != nil || i.Value == nil {
		return nil, &failure{http.StatusBadRequest, errors.Join(errInitiation, err)}
	}
	environment := make(map[string]string, len(i.Value.Env))
	for name, value := range i.Value.Env {
		if text, ok := value.(string); ok {
			environment[name] = text
		} else if b, err := json.Marshal(value); err == nil {
			environment[name] = string(b)
		}
	}
	front, err := a.o.Open(context.WithoutCancel(r.Context()), environment)
	if err != nil {
		return nil, &failure{http.StatusBadGateway, fmt.Errorf("waggle could not start: %w", err)}
	}
	a.front = front
	return struct {
		OK bool `json:"ok"`
	}{true}, nil
}

func (a *Action) run(r *http.Request, payload []byte) (any, *failure) {
	a.mu.Lock()
	front := a.front
	a.mu.Unlock()
	if front == nil {
		return nil, &failure{http.StatusForbidden, errNoInit}
	}
	activation, err := parseActivation(payload)
	if err != nil {
		return nil, &failure{http.StatusBadRequest, err}
	}
	result, err := front.activate(r.Context(), activation)
	if err != nil {
		return nil, &failure{http.StatusBadGateway, err}
	}
	return result, nil
}

// activate answers an activation. The error is as of [Front.Invoke].
func (f *Front) activate(ctx context.Context, act *activation) (any, error) {
	if !f.begin() {
		return nil, ErrClosed
	}
	defer f.current.Done()
	ctx, cancel := act.until(ctx)
	defer cancel()
	if act.isSchedule() {
		report, err := f.tidy(ctx)
		return json.RawMessage(report), err
	}
	a := newAnswer(maxActionBody)
	r, err := act.request(ctx)
	if err != nil {
		mangled(a)
		a.end(http.MethodGet)
	} else {
		serve(f.o.Handler, a, r, f.o.Log)
	}
	return a.result(), nil
}
