package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"sternpost/queue"
)

// Problem is an error as callers see it (RFC 9457 s3.1).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// problemType is the media type of a Problem (RFC 9457 s3).
const problemType = "application/problem+json"

// problem is an error that knows its status.
type problem struct {
	status int
	detail string
}

func (p problem) Error() string { return p.detail }

// refuse is the problem of a caller who asked for what cannot be.
func refuse(format string, args ...any) error {
	return problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// answerProblem writes p. Its type says no more than its status (RFC 9457 s4.2.1).
func answerProblem(w http.ResponseWriter, p problem) {
	answerAs(w, problemType, p.status, Problem{"about:blank", http.StatusText(p.status), p.status, p.detail})
}

// answerError writes the problem that err is. What callers cannot help is logged.
func (c *Console) answerError(w http.ResponseWriter, r *http.Request, err error) {
	var known problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &large):
		known = problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d octets", large.Limit)}
	case errors.Is(err, queue.ErrNotFound):
		known = problem{http.StatusNotFound, err.Error()}
	case errors.Is(err, queue.ErrStopped), errors.Is(err, queue.ErrFull):
		known = problem{http.StatusServiceUnavailable, err.Error()}
	case errors.Is(err, context.Canceled): // nobody is there to read it
		known = problem{http.StatusServiceUnavailable, "the question was withdrawn"}
	default:
		c.log.Error("a question to the queue failed", zap.String("path", r.URL.Path), zap.Error(err))
		known = problem{http.StatusInternalServerError, err.Error()}
	}
	answerProblem(w, known)
}
