package submission

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// problem is why a message was not taken, as the client sees it (RFC 9457 s3.1). It is an error that knows its status.
type problem struct {
	status int
	detail string
	field  string // of the request that is wrong; empty: none alone
	code   mail.Status
	retry  time.Duration // when to try again; zero: not with the same message
}

func (p problem) Error() string { return p.detail }

// answeredProblem is a problem as JSON. A test of the console holds it against the document of the API.
type answeredProblem struct {
	Type           string `json:"type"`
	Title          string `json:"title"`
	Status         int    `json:"status"`
	Detail         string `json:"detail"`
	Field          string `json:"field"`
	EnhancedStatus string `json:"enhanced_status"`
}

// fieldError is a field of the request that cannot be used.
type fieldError struct {
	field string
	text  string
}

func (e fieldError) Error() string { return e.field + ": " + e.text }

// How long a client should wait before it tries again.
const (
	retrySoon = 10 * time.Second
	retryFull = time.Minute
	retryRate = 5 * time.Minute
)

func tooLarge() *Refusal {
	return refuse(552, "5.3.4", "the message is larger than submission.max_size")
}

// refuse answers with the problem that err is. What the client cannot help is logged.
func (h *HTTP) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := h.problem(err)
	h.deps.Log.Info("message refused", zap.String("peer", h.deps.Client(r).Peer()), zap.Int("status", p.status), zap.String("error", mail.Escape(err.Error())))
	a := answeredProblem{Type: "about:blank", Title: http.StatusText(p.status), Status: p.status, Detail: p.detail, Field: p.field}
	if p.code != (mail.Status{}) {
		a.EnhancedStatus = p.code.String()
	}
	text, err := json.Marshal(a)
	if err != nil {
		http.Error(w, p.detail, p.status)
		return
	}
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.retry/time.Second)))
	}
	writeJSON(w, "application/problem+json", p.status, mail.EscapeJSON(text))
}

// problem finds the status of an error.
func (h *HTTP) problem(err error) problem {
	var known problem
	var field fieldError
	var refusal *Refusal
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &field):
		return problem{status: http.StatusUnprocessableEntity, detail: field.Error(), field: field.field}
	case errors.Is(err, queue.ErrOtherContent):
		return problem{status: http.StatusConflict, detail: "another message was accepted with the same idempotency key", code: mail.Status{5, 6, 0}}
	case errors.As(err, &refusal):
		return translate(refusal)
	case errors.Is(err, queue.ErrFull):
		return problem{status: http.StatusInsufficientStorage, detail: queue.ErrFull.Error(), code: mail.Status{4, 3, 1}, retry: retryFull}
	case isTimeout(err):
		return problem{status: http.StatusRequestTimeout, detail: "the message came too slowly", code: mail.Status{4, 4, 2}}
	}
	// Its errors are for the log: they may name files.
	h.deps.Log.Warn("mail is not accepted", zap.Error(err))
	return problem{status: http.StatusServiceUnavailable, detail: "the queue takes no mail at the moment", code: mail.Status{4, 3, 0}, retry: retryFull}
}

// translate puts a refusal of SMTP into the words of HTTP.
func translate(r *Refusal) problem {
	p := problem{status: http.StatusUnprocessableEntity, detail: fmt.Sprintf("%s (%d %s)", r.Text, r.Code, r.Status), code: r.Status}
	switch {
	case r.Code == 552:
		p.status = http.StatusRequestEntityTooLarge
	case r.Code == 450 && r.Status == mail.Status{4, 7, 1}: // too much for an hour
		p.status, p.retry = http.StatusTooManyRequests, retryRate
	case r.Code == 452 && r.Status == mail.Status{4, 3, 1}:
		p.status, p.retry = http.StatusInsufficientStorage, retryFull
	case r.Code/100 == 4:
		p.status, p.retry = http.StatusServiceUnavailable, retryFull
	}
	return p
}
