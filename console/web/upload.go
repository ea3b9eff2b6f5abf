package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strings"
	"time"

	"waggle/console/client"
)

// What uploads by a form are bounded by.
const (
	maxFiles      = 100 // in one form
	uploadsAtOnce = 2   // forms; each has one file in memory
	uploadWait    = 10 * time.Second
	uploadTime    = 2 * time.Minute // for a whole form
	answerTime    = time.Minute     // more, to say what came of it
	maxField      = 1024            // bytes of a field that is no file
)

// upload registers the files of a form, one after the other: no more than one of them is
// in memory. What was registered before a mistake stays so.
func (s *Site) upload(w http.ResponseWriter, r *http.Request) {
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	case <-time.After(uploadWait):
		s.fail(w, r, &refusal{http.StatusServiceUnavailable, "Others are uploading now: try again."})
		return
	case <-r.Context().Done():
		return
	}
	control, until := http.NewResponseController(w), time.Now().Add(uploadTime)
	_ = control.SetReadDeadline(until) // in vain only if the connection is gone
	_ = control.SetWriteDeadline(until.Add(answerTime))
	r.Body = http.MaxBytesReader(w, r.Body, maxFiles*(s.options.MaxUpload+maxField))
	form, err := r.MultipartReader()
	if err != nil {
		s.fail(w, r, &refusal{http.StatusUnsupportedMediaType, "Send .torrent files by the form of this page."})
		return
	}
	all, err := s.register(r.Context(), form)
	if err != nil {
		status, text := reason(err)
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			s.fail(w, r, err)
			return
		}
		all = append(all, failed(text))
	}
	s.onward(w, r, "/torrents", all...)
}

// register uploads the files of a form, and says what came of each, and first how many
// there are. The error is that of the form, or of somebody who may not.
func (s *Site) register(ctx context.Context, form *multipart.Reader) ([]message, error) {
	registered, all, err := s.registerAll(ctx, form)
	switch {
	case registered > 0:
		return append([]message{done(plural(registered, "torrent") + " registered, and active")}, all...), err
	case err == nil && len(all) == 0:
		return nil, &refusal{http.StatusUnprocessableEntity, "No file was chosen."}
	}
	return all, err
}

func (s *Site) registerAll(ctx context.Context, form *multipart.Reader) (registered int, all []message, err error) {
	profile := ""
	for files := 0; ; {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return registered, all, nil
		}
		if err != nil {
			return registered, all, &refusal{http.StatusBadRequest, "The upload broke off: try again."}
		}
		switch {
		case part.FormName() == "profile":
			b, err := io.ReadAll(io.LimitReader(part, maxField))
			if err == nil && files > 0 && len(b) > 0 {
				return registered, all, &refusal{http.StatusBadRequest, "The profile must come before the files: they have the tracker's."}
			}
			if err != nil {
				return registered, all, &refusal{http.StatusBadRequest, "The upload broke off: try again."}
			}
			profile = string(b)
		case part.FormName() == "file" && part.FileName() != "":
			if files++; files > maxFiles {
				return registered, all, &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("Only the first %d files were looked at: upload the others with another form.", maxFiles)}
			}
			ok, said, err := s.registerFile(ctx, part, profile)
			if err != nil {
				return registered, all, err
			}
			if ok {
				registered++
			}
			all = append(all, said...)
		}
	}
}

// registerFile uploads one file: ok, with warnings, or not, with the reason. The error is
// for what would befall all others too.
func (s *Site) registerFile(ctx context.Context, part *multipart.Part, profile string) (ok bool, said []message, err error) {
	name := path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
	b, err := io.ReadAll(io.LimitReader(part, s.options.MaxUpload+1))
	if err != nil {
		return false, nil, &refusal{http.StatusBadRequest, clip(name, 80) + ": the upload broke off: try again."}
	}
	uploaded, err := s.api.UploadWithProfile(ctx, name, b, profile)
	if err != nil {
		p, known := errors.AsType[*client.Problem](err)
		if !known || p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden {
			return false, nil, err
		}
		return false, []message{failed(clip(name, 80) + ": " + p.Error())}, nil
	}
	for _, w := range uploaded.Warnings {
		said = append(said, warning(clip(uploaded.Name, 80)+": "+w))
	}
	return true, said, nil
}
