package console

import (
	"cmp"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"sternpost/journal"
)

// BounceList is the answer to a search that is one object.
type BounceList struct {
	Bounces []Event `json:"bounces"`
	// More says that the limit left out older ones.
	More bool `json:"more"`
}

// usualPast is what a search looks at that does not say since when.
const usualPast = "24h"

// bounceSearch reads the search for failures that a request is; past is since when where it does not say so.
func bounceSearch(r *http.Request, now time.Time, past string) (Search, journal.Query, error) {
	s, err := searchOf(r.URL.Query())
	if err != nil {
		return s, journal.Query{}, err
	}
	s.Since = cmp.Or(s.Since, past)
	s.Kind = cmp.Or(s.Kind, string(journal.Failed))
	q, err := s.query(now)
	q.Brief = true
	return s, q, err
}

// listBounces answers with the newest failures in one object, in the order in which they happened; where the caller accepts typeLines, with one a line and without a bound.
func (c *Console) listBounces(w http.ResponseWriter, r *http.Request) error {
	past := usualPast
	if named := r.URL.Query(); named.Has("message") || named.Has("message_id") {
		past = "" // whenever it was
	}
	s, q, err := bounceSearch(r, time.Now(), past)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), typeLines) {
		q.Limit = s.Limit
		return streamLines(w, c.search(r.Context(), s, q))
	}
	if s.After != "" {
		return refuse("after: goes with Accept: %s", typeLines)
	}
	limit := min(cmp.Or(s.Limit, usualList), longestList)
	q.Newest, q.Limit = true, limit+1
	list := BounceList{Bounces: []Event{}}
	for e, err := range c.search(r.Context(), s, q) {
		if err != nil {
			return err
		}
		if len(list.Bounces) == limit {
			list.More = true
			break
		}
		list.Bounces = append(list.Bounces, e)
	}
	slices.Reverse(list.Bounces)
	answer(w, list)
	return nil
}

// streamLines writes an object a line. After the first line an error can only be told by breaking off.
func streamLines[T any](w http.ResponseWriter, list iter.Seq2[T, error]) error {
	connection := http.NewResponseController(w)
	written := 0
	for v, err := range list {
		if err != nil && written == 0 {
			return err
		}
		var line []byte
		if err == nil {
			line, err = encode(v)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if written == 0 {
			w.Header().Set("Content-Type", typeLines)
		}
		if written++; written%flushEvery == 1 {
			err = errors.Join(connection.SetWriteDeadline(time.Now().Add(answerTimeout)), connection.Flush())
		}
		if _, failed := w.Write(line); failed != nil || err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", typeLines) // for an empty list
	return nil
}
