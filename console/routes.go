package console

import (
	"bytes"
	_ "embed" // the document
	"encoding/json"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"sternpost/mail"
)

// Paths that may be asked without a token.
const (
	pathAlive    = "/healthz"
	pathReady    = "/readyz"
	pathDocument = "/v1/openapi.json"
	pathMetrics  = "/metrics"
)

// document is the OpenAPI document of what is answered here.
//
//go:embed openapi.json
var document string

// route is one question that is answered.
type route struct {
	method, path string
	answer       func(w http.ResponseWriter, r *http.Request) error
	// all says that it is for all who are let in, and not only for those who administer.
	all bool
}

// known are all questions.
func (c *Console) known() []route {
	return []route{
		{"POST", "/v1/messages", c.submit, true},
		{"GET", "/v1/messages/{id}", c.showMessage, true},
		{"GET", "/v1/queue", c.listMessages, false},
		{"GET", "/v1/destinations", c.listDestinations, false},
		{"POST", "/v1/queue/{action}", c.change, false},
		{"GET", "/v1/why", c.why, false},
		{"GET", "/v1/bounces", c.listBounces, false},
		{"GET", "/v1/bounces/summary", c.summarizeBounces, false},
		{"GET", "/v1/incidents", c.listIncidents, false},
		{"GET", "/v1/events", c.follow, false},
		{"GET", "/v1/suppressions", c.listSuppressions, false},
		{"POST", "/v1/suppressions", c.addSuppressions, false},
		{"DELETE", "/v1/suppressions", c.removeSuppressions, false},
		{"GET", "/v1/webhooks", c.listWebhooks, false},
		{"POST", "/v1/webhooks/{action}", c.changeWebhook, false},
		{"GET", pathDocument, c.describe, true},
		{"GET", pathMetrics, c.count(), c.config.MetricsWithoutToken},
		{"GET", pathAlive, c.alive, true},
		{"GET", pathReady, c.ready, true},
	}
}

// routes are the questions that are answered, and problems for all others.
func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, route := range c.known() {
		mux.HandleFunc(route.method+" "+route.path, func(w http.ResponseWriter, r *http.Request) {
			var err error
			if !route.all {
				err = administers(r)
			}
			if err == nil {
				err = route.answer(w, r)
			}
			if err != nil {
				c.answerError(w, r, err)
			}
		})
		methods[route.path] = append(methods[route.path], route.method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			answerProblem(w, problem{http.StatusMethodNotAllowed, "use " + strings.Join(allowed, " or ")})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerProblem(w, problem{http.StatusNotFound, "there is no such path; " + pathDocument + " lists them"})
	})
	return mux
}

// submit passes a message on to the door for it.
func (c *Console) submit(w http.ResponseWriter, r *http.Request) error {
	if c.submission == nil {
		return problem{http.StatusServiceUnavailable, "no mail is taken here"}
	}
	c.submission.ServeHTTP(w, r)
	return nil
}

// describe answers with the document.
func (c *Console) describe(w http.ResponseWriter, _ *http.Request) error {
	answerText(w, "application/json", http.StatusOK, []byte(document))
	return nil
}

// count answers with the metrics.
func (c *Console) count() func(http.ResponseWriter, *http.Request) error {
	page := c.metrics.answers(c.queue)
	return func(w http.ResponseWriter, r *http.Request) error {
		page.ServeHTTP(w, r)
		return nil
	}
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
	answerText(w, mediaType, status, text)
}

func answerText(w http.ResponseWriter, mediaType string, status int, text []byte) {
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
