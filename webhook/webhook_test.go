package webhook

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// What happened before an endpoint was configured is not told; the rest is, in order and once.
func TestEventsAreToldInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{}
		d.write(journal.Failed, "before@b.example")
		n, end := begin(t, d, r)
		defer end()
		pass(time.Second)
		for _, name := range []string{"one", "two", "three"} {
			d.write(journal.Delivered, name+"@b.example")
		}
		d.write(journal.Accepted, "")
		d.write(journal.Removed, "removed@b.example")
		pass(2 * time.Second)
		d.write(journal.Deferred, "four@b.example")
		pass(2 * time.Second)
		want(t, "told", r.recipients(), "one two three four")
		s := n.Status()[0]
		if s.State != Good || s.Told != 4 || s.Lag != 0 || s.Name != "https://hooks.example/events" || n.Figures() != (Figures{Told: 4}) {
			t.Errorf("%+v, %+v", s, n.Figures())
		}
	})
}

// After a restart it goes on where it stood; while it was away nothing is lost.
func TestRestartGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{}
		_, end := begin(t, d, r)
		d.write(journal.Failed, "one@b.example")
		pass(2 * time.Second)
		end()
		d.write(journal.Failed, "two@b.example")
		_, end = begin(t, d, r)
		defer end()
		pass(2 * time.Second)
		want(t, "told", r.recipients(), "one two")
	})
}

// What was not taken is tried again with growing delays, and keeps what is behind it waiting; its id stays the same.
func TestRefusedEventIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{}
		statuses := []int{0, 500, 302, 404, 429, 503}
		r.answer = func(n int) (int, http.Header) {
			if n > len(statuses) {
				return 204, nil
			}
			if statuses[n-1] == 503 {
				return 503, http.Header{"Retry-After": {"2400"}}
			}
			return statuses[n-1], nil
		}
		n, end := begin(t, d, r)
		defer end()
		d.write(journal.Failed, "one@b.example")
		d.write(journal.Failed, "two@b.example")
		pass(10 * time.Minute)
		s := n.Status()[0]
		if s.State != Failing || s.Failures < 3 || s.LastError == "" || !s.NextTry.After(time.Now()) || s.Lag < 9*time.Minute || !s.Cursor.Time.IsZero() {
			t.Errorf("%+v", s)
		}
		if strings.Contains(s.LastError+s.URL+s.Name, "hidden") {
			t.Errorf("a secret is shown: %+v", s)
		}
		pass(3 * time.Hour)
		want(t, "told", r.recipients(), "one one one one one one one two")
		got := r.take()
		for i, least := range []time.Duration{4 * time.Second, 13 * time.Second, 54 * time.Second, 4 * time.Minute, 13 * time.Minute, 40 * time.Minute} {
			if gap := got[i+1].at.Sub(got[i].at); gap < least || gap > least*3/2 && i < 5 || i == 5 && gap > 41*time.Minute {
				t.Errorf("try %d came after %s", i+2, gap)
			}
			if got[i].header.Get("webhook-id") != got[i+1].header.Get("webhook-id") {
				t.Error("another id")
			}
			if got[i].header.Get("webhook-timestamp") == got[i+1].header.Get("webhook-timestamp") {
				t.Error("the time of the first try")
			}
		}
		if got[6].header.Get("webhook-id") == got[7].header.Get("webhook-id") {
			t.Error("two events with one id")
		}
		if s := n.Status()[0]; s.State != Good || s.Lag != 0 || s.Failures != 0 || !s.NextTry.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// What was taken is not told again, also where the process ends in the middle of a page: in order while an answer is waited for, or by a crash while it waits for the next try.
func TestEndWithinAPage(t *testing.T) {
	for name, status := range map[string]int{"no answer": hangs, "refused": 500} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, r := newDiary(), &receiver{}
				_, end := begin(t, d, r)
				pass(time.Second)
				r.answer = func(n int) (int, http.Header) {
					if n == 3 {
						return status, nil
					}
					return 200, nil
				}
				d.write(journal.Failed, "one@b.example")
				d.write(journal.Failed, "two@b.example")
				d.write(journal.Failed, "three@b.example")
				pass(1500 * time.Millisecond)
				want(t, "told", r.recipients(), "one two three")
				crashed := newDiary()
				crashed.entries, crashed.places = d.entries, maps.Clone(d.places)
				end()
				if status == hangs {
					crashed = d
					if at := d.places["https://hooks.example/events"]; at != d.entries[1].Cursor {
						t.Errorf("when Run has ended the bookmark is %v", at)
					}
				}
				_, end = begin(t, crashed, r)
				defer end()
				pass(2 * time.Second)
				want(t, "told", r.recipients(), "one two three three")
			})
		})
	}
}

// The bookmark moves only over what was taken, whenever the process ends.
func TestBookmarkIsNeverAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{}
		taken := 0
		r.answer = func(n int) (int, http.Header) {
			if n%3 == 0 {
				return 500, nil
			}
			taken++
			return 200, nil
		}
		for range 100 {
			_, end := begin(t, d, r)
			d.write(journal.Failed, "x@b.example")
			d.write(journal.Delivered, "y@b.example")
			pass(700 * time.Millisecond)
			end()
			at := d.places["https://hooks.example/events"]
			passed := 0
			for _, e := range d.entries {
				if !e.Cursor.Time.After(at.Time) && (e.Cursor.Time.Before(at.Time) || e.Cursor.Seq <= at.Seq) {
					passed++
				}
			}
			if passed > taken {
				t.Fatalf("the bookmark is over %d events, and %d were taken", passed, taken)
			}
		}
	})
}

func TestGoneDisables(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{answer: func(int) (int, http.Header) { return http.StatusGone, nil }}
		n, end := begin(t, d, r)
		defer end()
		d.write(journal.Failed, "one@b.example")
		d.write(journal.Failed, "two@b.example")
		pass(48 * time.Hour)
		want(t, "told", r.recipients(), "one")
		if s := n.Status()[0]; s.State != Disabled || s.LastError == "" {
			t.Errorf("%+v", s)
		}
		r.mu.Lock()
		r.answer = nil
		r.mu.Unlock()
		// Another configuration tries anew.
		if err := n.Reload([]Endpoint{{URL: "https://hooks.example/events", Secrets: []string{secret}}}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		want(t, "told", r.recipients(), "one one two")
	})
}

func TestChoiceOfEventsAndSenders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{}
		_, end := begin(t, d, r, func(e *Endpoint) {
			e.Events, e.Senders = []string{Failed, Expired, Suppressed}, []string{"us.test"}
		})
		defer end()
		d.write(journal.Delivered, "delivered@b.example")
		d.write(journal.Failed, "failed@b.example")
		d.write(journal.Suppressed, "suppressed@b.example")
		d.add(journal.Entry{Kind: journal.Failed, Sender: "a@other.test", Recipient: "other@b.example"})
		d.add(journal.Entry{Kind: journal.Failed, Sender: "", Recipient: "report@b.example"})
		d.add(journal.Entry{Kind: journal.Failed, Sender: "a@us.test", Recipient: "late@b.example", Reason: journal.NeverReached + "; the last attempt: x"})
		pass(2 * time.Second)
		want(t, "told", r.recipients(), "failed suppressed late")
		types := ""
		for _, one := range r.take() {
			var e Event
			if err := json.Unmarshal([]byte(one.body), &e); err != nil {
				t.Fatal(err)
			}
			types += e.Type + " "
		}
		want(t, "types", types, "failed suppressed expired ")
	})
}

// What the journal forgets while an endpoint is dead is said, and it goes on with the rest. An endpoint that had nothing to be told has lost nothing.
func TestForgottenEntriesAreSaid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{answer: func(n int) (int, http.Header) {
			if n < 14 {
				return 0, nil
			}
			return 200, nil
		}}
		n, end := begin(t, d, r)
		defer end()
		d.write(journal.Delivered, "first@b.example")
		for range 4 {
			pass(time.Hour)
			d.write(journal.Delivered, "lost@b.example")
		}
		d.write(journal.Delivered, "kept@b.example")
		d.forget(5)
		pass(12 * time.Hour)
		if told := r.recipients(); !strings.HasSuffix(told, "first first kept") {
			t.Error(told)
		}
		s := n.Status()[0]
		if s.LostFrom.IsZero() || !s.LostUntil.After(s.LostFrom) {
			t.Errorf("nothing is said: %+v", s)
		}
		before := s.LostUntil
		pass(2 * time.Hour)
		d.forget(1)
		d.write(journal.Delivered, "later@b.example")
		pass(2 * time.Second)
		if s := n.Status()[0]; s.LostUntil != before || !strings.HasSuffix(r.recipients(), "kept later") {
			t.Errorf("%+v: %s", s, r.recipients())
		}
	})
}

// The bookmark of a busy endpoint is saved once a second; one that stands still, not at all.
func TestBookmarkIsSavedSeldom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &receiver{}
		_, end := begin(t, d, r)
		defer end()
		for range 1000 {
			d.write(journal.Delivered, "x@b.example")
		}
		pass(10 * time.Second)
		if len(r.take()) != 1000 || d.saves > 3 {
			t.Errorf("%d events, %d saves", len(r.take()), d.saves)
		}
		before := d.saves
		pass(time.Hour)
		if d.saves != before {
			t.Errorf("%d saves in an hour without events", d.saves-before)
		}
		d.breakDown(true)
		d.write(journal.Delivered, "y@b.example")
		pass(2 * time.Second)
		d.breakDown(false)
		pass(2 * time.Second)
		if d.saves != before+1 {
			t.Errorf("a failed save is not made up for: %d", d.saves-before)
		}
	})
}

func TestBody(t *testing.T) {
	e := journal.Entry{
		Cursor: journal.Cursor{Time: time.Unix(0, 0x0102030405060708), Seq: 10}, Kind: journal.Failed, Message: "m1", Sender: "a@us.test", Recipient: "b@b.example",
		Domain: "b.example", Host: "mx.b.example", Code: 550, Status: mail.Status{5, 1, 1}, Stage: mail.StageRcpt, Reply: []string{"550 5.1.1 <no> \x1b[31m"},
	}
	told, err := eventOf(e, func(journal.Entry) (string, bool) { return "bad-mailbox", true })
	if err != nil {
		t.Fatal(err)
	}
	want(t, "id", told.id, "evt_01020304050607080000000a")
	want(t, "body", string(told.body), `{"type":"failed","timestamp":"`+e.Cursor.Time.UTC().Format(time.RFC3339Nano)+`","data":{"id":"evt_01020304050607080000000a","message":"m1","message_id":"","sender":"a@us.test",`+
		`"recipient":"b@b.example","domain":"b.example","host":"mx.b.example","address":"","code":550,"status":"5.1.1","reply":["550 5.1.1 <no> \u001b[31m"],"in_doubt":false,"scope":"","stage":"rcpt","reason":"","category":"bad-mailbox","hard":true,"attempt":""}}`)
	e.Code, e.Reply = 0, nil
	told, err = eventOf(e, nil)
	if err != nil || !strings.Contains(string(told.body), `"code":null,"status":"5.1.1","reply":[]`) {
		t.Errorf("%s, %v", told.body, err)
	}
}

func TestEndpointsAreChecked(t *testing.T) {
	good := Endpoint{URL: "http://127.0.0.1:1/x", Secrets: []string{secret}}
	for text, change := range map[string]func(*Endpoint){
		"":                                    func(*Endpoint) {},
		"webhooks[0].url: ":                   func(e *Endpoint) { e.URL = "ftp://a:b@c/" },
		"webhooks[0].secrets: at least":       func(e *Endpoint) { e.Secrets = nil },
		"webhooks[0].secrets: number 2: does": func(e *Endpoint) { e.Secrets = append(e.Secrets, "x") },
		"webhooks[0].secrets: number 1: is not base64": func(e *Endpoint) { e.Secrets = []string{"whsec_???"} },
		"webhooks[0].secrets: number 1: has 3 octets":  func(e *Endpoint) { e.Secrets = []string{"whsec_YWJj"} },
		"webhooks[0].events: ":                         func(e *Endpoint) { e.Events = []string{"opened"} },
		"webhooks[0].senders: ":                        func(e *Endpoint) { e.Senders = []string{"a@"} },
	} {
		e := good
		e.Secrets = append([]string(nil), good.Secrets...)
		change(&e)
		err := Check([]Endpoint{e})
		if text == "" && err != nil || text != "" && (err == nil || !strings.HasPrefix(err.Error(), text)) {
			t.Errorf("%v, want %s", err, text)
		}
	}
	twice := good
	twice.URL += "?other"
	if err := Check([]Endpoint{good, twice}); err == nil || !strings.HasPrefix(err.Error(), "webhooks[1].name: ") {
		t.Error(err)
	}
	if _, err := New(nil, Deps{}); err == nil {
		t.Error("New without a journal")
	}
}
