package submission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"sternpost/mail"
	"sternpost/queue"
)

// Bounds of what is read for one request, and for all of them.
const (
	maxJSON       = 40 << 20 // a message as JSON, which is kept in memory; larger ones are sent as message/rfc822
	allJSON       = 3 * maxJSON
	answerTimeout = time.Minute
)

// HTTP is the door for POST /v1/messages: the body of a request is a message, as MIME or as JSON. It is an http.Handler for whoever has a listener and has found out who asks.
// MIME of any size passes through; what was answered with success is in the queue, as in every other door. Safe for concurrent use.
type HTTP struct {
	config Config
	deps   HTTPDeps
	memory *semaphore.Weighted // octets of JSON that are read at the moment
}

// HTTPDeps are the parts that a HTTP does not make itself.
type HTTPDeps struct {
	Intake Intake
	// Client is who has sent the request.
	Client func(*http.Request) Client
	// Log may be nil.
	Log *zap.Logger
}

// NewHTTP makes the door. Of the configuration it keeps the limits of a message and the patience with a client that sends one.
func NewHTTP(c Config, d HTTPDeps) *HTTP {
	if d.Log == nil {
		d.Log = zap.NewNop()
	}
	return &HTTP{config: c, deps: d, memory: semaphore.NewWeighted(allJSON)}
}

// taken is the answer to a message that was taken.
type taken struct {
	ID         string `json:"id"`
	Recipients int    `json:"recipients"` // that it goes to, when aliases are resolved
	Repeated   bool   `json:"repeated"`   // it was taken before, with the same idempotency key
}

// posting is a message as the client wants it sent.
type posting struct {
	letter  Letter
	to      []mail.Address
	notify  []string // NOTIFY of all of them
	content io.Reader
}

// ServeHTTP takes one message.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	receipt, n, err := h.take(w, r)
	// The server's own deadline was for a small body.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // a ResponseWriter without deadlines has none to be moved
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	text, err := json.Marshal(taken{receipt.ID.String(), n, receipt.Repeated})
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	status := http.StatusAccepted
	if receipt.Repeated {
		status = http.StatusOK
	}
	w.Header().Set("Location", "/v1/messages/"+receipt.ID.String())
	writeJSON(w, "application/json", status, text)
}

func writeJSON(w http.ResponseWriter, mediaType string, status int, text []byte) {
	header := w.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that is gone does not read it
}

// take reads the message and hands it over.
func (h *HTTP) take(w http.ResponseWriter, r *http.Request) (Receipt, int, error) {
	if err := h.deps.Intake.Ready(); err != nil {
		return Receipt{}, 0, err
	}
	body := &pacedBody{body: r.Body, connection: http.NewResponseController(w), pace: pace{silence: h.config.ContentTimeout, rate: h.config.MinRate}}
	p, err := h.read(r, body)
	if err != nil {
		return Receipt{}, 0, err
	}
	if p.letter.Key, err = oneKey(p.letter.Key, r.Header.Values("Idempotency-Key")); err != nil {
		return Receipt{}, 0, err
	}
	p.letter.Client = h.deps.Client(r)
	return h.submit(r.Context(), p)
}

// read makes a posting of a request: its content may still be to be read.
func (h *HTTP) read(r *http.Request, body *pacedBody) (posting, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && mediaType == "message/rfc822":
		if r.ContentLength > h.config.MaxSize {
			return posting{}, tooLarge()
		}
		return h.readMIME(r.URL.Query(), body)
	case err == nil && mediaType == "application/json":
		if len(r.URL.RawQuery) > 0 {
			return posting{}, problem{status: http.StatusBadRequest, detail: "a message of application/json takes no parameters: its envelope stands in the object"}
		}
		return h.readJSON(body)
	}
	return posting{}, problem{status: http.StatusUnsupportedMediaType, detail: "send a body of message/rfc822 or application/json"}
}

// submit asks the intake about the envelope, and hands the message over. A client that leaves in between changes nothing: only the end of the content decides.
func (h *HTTP) submit(ctx context.Context, p posting) (Receipt, int, error) {
	intake, l := h.deps.Intake, p.letter
	switch {
	case len(p.to) == 0:
		return Receipt{}, 0, fieldError{"to", "a message needs a recipient"}
	case len(p.to) > h.config.MaxRecipients:
		return Receipt{}, 0, fieldError{"to", fmt.Sprintf("there are more than %d recipients", h.config.MaxRecipients)}
	}
	if err := intake.Sender(l.Client, l.Envelope.From); err != nil {
		return Receipt{}, 0, err
	}
	known := map[mail.Address]bool{}
	for _, address := range p.to {
		e, err := intake.Recipient(l.Client, l.Envelope.From, mail.Recipient{Address: address, Notify: p.notify})
		if err != nil {
			return Receipt{}, 0, refusedRecipient(address, err)
		}
		l.Expanded = append(l.Expanded, e.Expanded...)
		for _, r := range e.Recipients {
			if !known[r.Address] {
				known[r.Address] = true
				l.Envelope.Recipients = append(l.Envelope.Recipients, r)
			}
		}
	}
	l.UTF8 = l.UTF8 || l.Envelope.NeedsUTF8()
	receipt, err := intake.Submit(context.WithoutCancel(ctx), l, p.content)
	return receipt, len(l.Envelope.Recipients), err
}

// refusedRecipient says which one it was: other than in SMTP there is one answer for all.
func refusedRecipient(a mail.Address, err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		return err
	}
	named := *r
	named.Text = "recipient " + mail.Escape(a.String()) + ": " + r.Text
	return &named
}

// oneKey is the idempotency key of a request: that of the header field (draft-ietf-httpapi-idempotency-key-header s2.1, a string of RFC 8941 in quotes), which is taken without
// quotes too, or that of the object.
func oneKey(key string, header []string) (string, error) {
	for _, text := range header {
		text = strings.TrimSpace(text)
		if inner, quoted := strings.CutPrefix(text, `"`); quoted {
			text = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(inner, `"`))
		}
		if key != "" && key != text {
			return "", fieldError{"Idempotency-Key", "two different keys were given"}
		}
		key = text
	}
	if len(header) > 0 && key == "" {
		return "", fieldError{"Idempotency-Key", "is empty"}
	}
	if key == "" {
		return "", nil
	}
	if err := queue.CheckKey(key); err != nil {
		return "", fieldError{"Idempotency-Key", err.Error()}
	}
	return key, nil
}

// notPrintable is true of all but the printable characters of ASCII and the blank.
func notPrintable(c rune) bool { return c < ' ' || c > '~' }

// pacedBody reads a body with the patience that SMTP has with content: a large one may take its time, a client that stalls may not.
type pacedBody struct {
	body       io.Reader
	connection *http.ResponseController
	pace       pace
}

func (p *pacedBody) Read(b []byte) (int, error) {
	began := time.Now()
	if err := p.connection.SetReadDeadline(began.Add(p.pace.left())); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := p.body.Read(b)
	p.pace.waited += time.Since(began)
	p.pace.received += int64(n)
	return n, err
}

// options are the parameters of the envelope beside its addresses, as texts.
type options struct {
	EnvelopeID string   `json:"envelope_id"`
	Notify     []string `json:"notify"`
	Return     string   `json:"ret"`
	SendAt     string   `json:"send_at"`
	Expires    string   `json:"expires"`
}

// longestEnvelopeID is what ENVID may have in characters (RFC 3461 s4.4).
const longestEnvelopeID = 100

// choose writes the options into p. longest is how long a message may be held (submission.max_hold).
func (p *posting) choose(s options, longest time.Duration) (err error) {
	if len(s.EnvelopeID) > longestEnvelopeID || strings.ContainsFunc(s.EnvelopeID, notPrintable) {
		return fieldError{"envelope_id", "is not up to 100 printable ASCII characters"} // RFC 3461 s4.4, s5.4
	}
	e := &p.letter.Envelope
	e.EnvelopeID, e.Return = s.EnvelopeID, strings.ToUpper(s.Return)
	if e.Return != "" && e.Return != "FULL" && e.Return != "HDRS" {
		return fieldError{"ret", "is not full or hdrs"}
	}
	for _, word := range s.Notify {
		p.notify = append(p.notify, strings.ToUpper(word))
	}
	for _, word := range p.notify {
		if !slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, word) || word == "NEVER" && len(p.notify) > 1 {
			return fieldError{"notify", "is neither never alone, nor any of success, failure and delay"} // RFC 3461 s4.1
		}
	}
	if p.letter.SendAt, err = instant("send_at", s.SendAt); err != nil {
		return err
	}
	if p.letter.Expires, err = instant("expires", s.Expires); err != nil {
		return err
	}
	return p.letter.checkTimes(time.Now(), longest)
}

// checkTimes refuses what would be held for too long, or never sent.
func (l *Letter) checkTimes(now time.Time, longest time.Duration) error {
	switch {
	case l.SendAt.After(now.Add(longest)):
		return fieldError{"send_at", "is later than submission.max_hold allows"}
	case !l.Expires.IsZero() && !l.Expires.After(now):
		return fieldError{"expires", "has passed"}
	case !l.Expires.IsZero() && l.Expires.Before(l.SendAt):
		return fieldError{"expires", "is before send_at"}
	case !l.SendAt.After(now):
		l.SendAt = time.Time{}
	}
	return nil
}

func instant(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fieldError{field, "is not a time of RFC 3339, such as 2026-12-24T18:00:00Z"}
	}
	return at, nil
}
