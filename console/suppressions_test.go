package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/storetest"
)

func request(t *testing.T, method, path, text string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://sternpost"+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token) // the admin socket needs none, which the document cannot say
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// What is done to the list over HTTP, with every answer as the document says.
func TestSuppressionsOverHTTP(t *testing.T) {
	check := newValidator(t)
	list := storetest.NewMemory()
	failed := queue.Suppression{
		Address: mail.Address{Local: "few", Domain: "b.example"}, Failures: 1, Needed: 2, Since: time.Now(), Last: time.Now(), Until: time.Now().Add(time.Hour), Code: 550,
		Status: mail.Status{5, 1, 1}, Reason: "550 5.1.1 \x1b[31m", Message: 7, Sender: "a@us.example",
	}
	old := failed
	old.Address.Local, old.Until = "old", time.Now().Add(-time.Hour)
	if err := list.Suppress(t.Context(), []queue.Suppression{failed, old}); err != nil {
		t.Fatal(err)
	}
	told := Webhook{Name: "hook", Events: []string{"failed"}, State: "failing", Lag: 5, Aside: []WebhookAside{{ID: "evt_1", Type: "failed"}}, NextTry: timeOrNull(time.Now())}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Suppressions: list, Webhooks: fakeWebhooks{told}})
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/suppressions", `{"suppressions":[{"recipient":"Z@B.example"},{"recipient":"a@b.example","reason":"asked us to","last":"2026-01-02T03:04:05Z","until":"2999-01-01T00:00:00Z"}]}`, 200, `{"recipients":2}`},
		{"GET", "/v1/suppressions?limit=1", "", 200, `"recipient":"a@b.example","suppressed":true,"failures":0,"needed":0,"since":"2026-01-02T03:04:05Z","last":"2026-01-02T03:04:05Z","until":"2999-01-01T00:00:00Z","code":null`},
		{"GET", "/v1/suppressions?limit=1", "", 200, `"more":true`},
		{"GET", "/v1/suppressions?behind=a@b.example", "", 200, `{"suppressions":[{"recipient":"few@b.example","suppressed":false,"failures":1,"needed":2,`},
		{"GET", "/v1/suppressions?behind=few@b.example", "", 200, `{"suppressions":[{"recipient":"z@b.example",`},
		{"GET", "/v1/suppressions?recipient=FEW@b.example", "", 200, `"reason":"550 5.1.1 \u001b[31m","message":"0000000000007","sender":"a@us.example"}],"more":false}`},
		{"GET", "/v1/suppressions?recipient=old@b.example", "", 200, `{"suppressions":[],"more":false}`},
		{"GET", "/v1/suppressions?recipient=x", "", 400, "is not an address"},
		{"GET", "/v1/suppressions?recepient=x@y", "", 400, "there is no parameter"},
		{"GET", "/v1/suppressions?limit=-1", "", 400, "limit"},
		{"POST", "/v1/suppressions", `{"suppressions":[{"recipient":"ok@b.example"},{"recipient":"Postmaster@b.example"}]}`, 400, "postmaster is never suppressed"},
		{"POST", "/v1/suppressions", `{"suppressions":[]}`, 400, "is empty"},
		{"POST", "/v1/suppressions", `{"suppressions":[{"recipient":"a@b.example","until":"2001-01-01T00:00:00Z"}]}`, 400, "not in the future"},
		{"POST", "/v1/suppressions", `{"suppressions":[{"address":"a@b.example"}]}`, 400, "unknown field"},
		{"DELETE", "/v1/suppressions?recipient=A@b.example&recipient=nobody@b.example", "", 200, `{"recipients":1}`},
		{"DELETE", "/v1/suppressions", "", 400, "is missing"},
		{"DELETE", "/v1/suppressions?all=true", "", 400, "there is no parameter"},
		{"PUT", "/v1/suppressions", "", 405, "use GET or POST or DELETE"},
		{"GET", "/v1/suppressions", "", 200, `"recipient":"few@b.example"`},
		{"GET", "/v1/webhooks", "", 200, `{"webhooks":[{"name":"hook","url":"","events":["failed"],"state":"failing","cursor":null,"lag":5,`},
		{"POST", "/v1/webhooks/test?name=hook", "", 200, `"action":"test","name":"hook","event":"evt_test"`},
		{"POST", "/v1/webhooks/skip?name=hook", "", 409, "nothing is held up"},
		{"POST", "/v1/webhooks/retry?name=other", "", 404, "no webhook has this name: other"},
		{"POST", "/v1/webhooks/dance?name=hook", "", 404, "there is no action dance"},
		{"POST", "/v1/webhooks/retry", "", 400, "say which webhook is meant"},
		{"POST", "/v1/webhooks/forget?name=hook", "", 503, ""},
	} {
		r := request(t, c.method, c.path, c.body)
		response, text := ask(t, client, r)
		if response.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, response.StatusCode, text, c.status, c.want)
		}
		if c.status == 405 {
			continue
		}
		if err := check.CheckRequest(r, []byte(c.body)); err != nil && c.status == 200 {
			t.Errorf("the request %s %s %s: %v", c.method, c.path, c.body, err)
		}
		if err := check.CheckAnswer(r, response, []byte(text)); err != nil {
			t.Errorf("%s %s: %s\n%v", c.method, c.path, text, err)
		}
	}
	if _, known, err := list.Suppression(t.Context(), mail.Address{Local: "ok", Domain: "b.example"}); known || err != nil {
		t.Error("a list with a mistake was taken in part")
	}
}

func TestConsoleWithoutAList(t *testing.T) {
	_, client := start(t, DefaultConfig(), &fakeQueue{})
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if response, text := ask(t, client, request(t, method, "/v1/suppressions", "")); response.StatusCode != 503 {
			t.Errorf("%s: %d %s", method, response.StatusCode, text)
		}
	}
	if response, text := ask(t, client, request(t, "POST", "/v1/webhooks/retry?name=x", "")); response.StatusCode != 404 {
		t.Errorf("retry: %d %s", response.StatusCode, text)
	}
	var list WebhookList
	_, text := ask(t, client, request(t, "GET", "/v1/webhooks", ""))
	if err := json.Unmarshal([]byte(text), &list); err != nil || list.Webhooks == nil {
		t.Errorf("%s: %v", text, err)
	}
}

// fakeWebhooks has one endpoint, of which only a test can be asked.
type fakeWebhooks struct{ one Webhook }

func (f fakeWebhooks) List() []Webhook { return []Webhook{f.one} }

func (f fakeWebhooks) Do(_ context.Context, action, name string) (WebhookChange, error) {
	switch {
	case name != f.one.Name:
		return WebhookChange{}, fmt.Errorf("%w: %s", ErrNoWebhook, name)
	case action == WebhookTest:
		return WebhookChange{Action: action, Name: name, Event: "evt_test"}, nil
	case action == WebhookSkip:
		return WebhookChange{}, fmt.Errorf("%w: nothing is held up", ErrNotHeldUp)
	}
	return WebhookChange{}, queue.ErrStopped
}
