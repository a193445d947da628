package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"sternpost/queue"
)

// The changes that may be asked for, beside the actions of the queue.
const (
	Fail  = "fail"  // return the mail to its sender, with a report
	Flush = "flush" // everything that waits is due now
)

// Change is what was asked for.
type Change struct {
	Action string
	Selection
}

// Changed is the answer to a Change.
type Changed struct {
	Action     string `json:"action"`
	Recipients int    `json:"recipients"` // that were changed
	UnderWay   int    `json:"under_way"`  // that were being delivered just then, and were left alone
}

// change does what a person asks for to the messages of the selection in the body.
func (c *Console) change(w http.ResponseWriter, r *http.Request) error {
	change := Change{Action: r.PathValue("action")}
	if !knownAction(change.Action) {
		return problem{http.StatusNotFound, "there is no action " + change.Action}
	}
	if err := readJSON(w, r, &change.Selection); err != nil {
		return err
	}
	if !change.narrow() && !change.All {
		return refuse("nothing is selected; all = true selects everything")
	}
	if change.All && change.narrow() {
		return refuse("all = true goes with no other choice")
	}
	if change.Limit != 0 { // which ones it would be is nobody's choice
		return refuse("limit: a change has none")
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil { // a million messages take their time
		return err
	}
	effect, err := c.apply(r.Context(), change)
	if err != nil {
		return err
	}
	c.told(change, effect.Changed)
	answer(w, Changed{change.Action, effect.Changed, effect.UnderWay})
	return nil
}

func knownAction(name string) bool {
	switch name {
	case string(queue.Retry), string(queue.Hold), string(queue.Release), string(queue.Remove), Fail, Flush:
		return true
	}
	return false
}

func (c *Console) apply(ctx context.Context, change Change) (queue.Effect, error) {
	var none queue.Effect
	query, err := change.query(time.Now())
	if err != nil {
		return none, err
	}
	if query.ID != 0 { // so that a mistyped id is told from a message that is under way
		if _, err := c.queue.Message(ctx, query.ID); err != nil {
			return none, err
		}
	}
	if change.Action == Flush {
		if (change.Selection != Selection{Domain: change.Domain, All: change.All}) {
			return none, refuse("flush takes a domain, or all = true")
		}
		return c.queue.Flush(ctx, query.Destination)
	}
	if query.Sender == nullSender {
		return c.eachOfNobody(ctx, change.Action, query)
	}
	return c.applyTo(ctx, change.Action, query)
}

func (c *Console) applyTo(ctx context.Context, action string, query queue.Query) (queue.Effect, error) {
	if action == Fail {
		return c.queue.Fail(ctx, query)
	}
	return c.queue.Change(ctx, query, queue.Action(action))
}

// eachOfNobody changes mail with the null reverse-path message by message, since the queue cannot choose it.
func (c *Console) eachOfNobody(ctx context.Context, action string, query queue.Query) (queue.Effect, error) {
	var total queue.Effect
	var ids []queue.ID
	for m, err := range c.messages(ctx, query) {
		if err != nil {
			return total, err
		}
		ids = append(ids, m.ID)
	}
	query.Sender = ""
	for _, id := range ids {
		query.ID = id
		effect, err := c.applyTo(ctx, action, query)
		total.Changed += effect.Changed
		total.UnderWay += effect.UnderWay
		if err != nil && !errors.Is(err, queue.ErrNotFound) { // it was delivered meanwhile
			return total, err
		}
	}
	return total, nil
}

// readJSON reads the one object that the body is. Keys that nobody knows are refused: a filter that is misspelt must not select everything.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return problem{http.StatusUnsupportedMediaType, "send a body of application/json"}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(into)
	if err == nil {
		_, err = decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.Join(err, errors.New("there is more than one value"))
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return refuse("the body is not what was expected: %s", err)
}
