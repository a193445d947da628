package console

import (
	"bytes"
	"encoding/json"
	"net/http"

	"go.uber.org/zap"

	"sternpost/mail"
)

// The paths that need no token.
const (
	pathAlive = "/healthz"
	pathReady = "/readyz"
)

// routes are the questions that are answered, and problems for all others.
func (c *Console) routes() http.Handler {
	type answer func(w http.ResponseWriter, r *http.Request) error
	mux := http.NewServeMux()
	for _, route := range []struct {
		method, path string
		answer       answer
	}{
		{"GET", "/v1/queue", c.listMessages},
		{"GET", "/v1/messages/{id}", c.showMessage},
		{"GET", "/v1/destinations", c.listDestinations},
		{"POST", "/v1/queue/{action}", c.change},
		{"GET", pathAlive, c.alive},
		{"GET", pathReady, c.ready},
	} {
		mux.HandleFunc(route.method+" "+route.path, func(w http.ResponseWriter, r *http.Request) {
			if err := route.answer(w, r); err != nil {
				c.answerError(w, r, err)
			}
		})
		mux.HandleFunc(route.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", route.method)
			answerProblem(w, problem{http.StatusMethodNotAllowed, "use " + route.method})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerProblem(w, problem{http.StatusNotFound, "there is no such path; docs/operations.md lists them"})
	})
	return mux
}

// alive says that the process answers.
func (c *Console) alive(w http.ResponseWriter, _ *http.Request) error {
	answer(w, struct {
		OK bool `json:"ok"`
	}{true})
	return nil
}

// ready says whether mail is accepted.
func (c *Console) ready(w http.ResponseWriter, r *http.Request) error {
	if err := c.queue.Ready(); err != nil {
		return problem{http.StatusServiceUnavailable, err.Error()}
	}
	return c.alive(w, r)
}

func answer(w http.ResponseWriter, v any) { answerAs(w, "application/json", http.StatusOK, v) }

// answerAs writes v. An error of the connection ends the conversation, which is all that can be done about it.
func answerAs(w http.ResponseWriter, mediaType string, status int, v any) {
	text, err := encode(v)
	if err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// encode is v as one line of JSON that may be shown on a terminal.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return mail.EscapeJSON(b.Bytes()), nil
}

// told logs what a person has changed.
func (c *Console) told(change Change, changed int) {
	c.log.Info("queue changed", zap.String("action", change.Action), zap.Any("selection", change.Selection), zap.Int("recipients", changed))
}
