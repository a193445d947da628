package console

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sternpost/console/openapitest"
	"sternpost/queue"
)

// newValidator reads the document.
func newValidator(t *testing.T) *openapitest.Document {
	t.Helper()
	d, err := openapitest.Read([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type schema struct {
	Properties map[string]any
	Required   []string
}

// openAPI is what the tests read of the document.
func openAPI(t *testing.T) (paths map[string]map[string]any, schemas map[string]schema) {
	t.Helper()
	var d struct {
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		t.Fatal(err)
	}
	return d.Paths, d.Components.Schemas
}

func TestDocumentHasEveryRoute(t *testing.T) {
	c := &Console{queue: &fakeQueue{}, metrics: NewMetrics("", nil)}
	var want, got []string
	for _, r := range c.known() {
		want = append(want, strings.ToLower(r.method)+" "+r.path)
	}
	paths, _ := openAPI(t)
	for path, methods := range paths {
		for method := range methods {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the document has\n%q\nthe console answers\n%q", got, want)
	}
}

func TestDocumentHasEveryKey(t *testing.T) {
	_, schemas := openAPI(t)
	for name, v := range map[string]any{
		"Message": Message{}, "Recipient": Recipient{}, "Outcome": Outcome{}, "MessageList": MessageList{}, "Destination": Destination{}, "DestinationList": DestinationList{},
		"Event": Event{}, "BounceList": BounceList{}, "BounceSummary": BounceSummary{}, "Group": Group{}, "Incident": Incident{}, "Alarm": Alarm{}, "IncidentList": IncidentList{},
		"Why": Why{}, "Standing": Standing{}, "Handover": Handover{}, "Prospect": Prospect{}, "Changed": Changed{}, "Selection": Selection{}, "Problem": Problem{},
		"Suppression": Suppression{}, "SuppressionList": SuppressionList{}, "NewSuppressions": NewSuppressions{}, "NewSuppression": NewSuppression{},
		"ChangedSuppressions": ChangedSuppressions{}, "Webhook": Webhook{}, "WebhookList": WebhookList{}, "WebhookAside": WebhookAside{}, "WebhookChange": WebhookChange{},
	} {
		var want, got []string
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if field.Anonymous {
				continue // its fields stand beside it
			}
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			want = append(want, key)
		}
		for key := range schemas[name].Properties {
			got = append(got, key)
		}
		slices.Sort(want)
		slices.Sort(got)
		required := slices.Sorted(slices.Values(schemas[name].Required))
		if !slices.Equal(got, want) || name != "Selection" && name != "NewSuppression" && !slices.Equal(required, want) {
			t.Errorf("%s has\n%q\nthe document\n%q, of which always there\n%q", name, want, got, required)
		}
	}
}

// What is asked and answered is what the document says.
func TestAnswersAreThoseOfTheDocument(t *testing.T) {
	check := newValidator(t)
	q := &fakeQueue{messages: []queue.Message{messageOn(t, 7)}, destinations: []Destination{{Domain: "example.test", Health: HealthDead}}}
	_, client := startWith(t, DefaultConfig(), toldOf(q))
	for _, c := range []struct {
		request *http.Request
		status  int
		loose   bool // the request itself is not one of the document
		broken  error
	}{
		{get(t, "/v1/queue?limit=2&domain=example.test&held=true"), 200, false, nil},
		{get(t, "/v1/queue?recepient=x"), 400, true, nil},
		{get(t, "/v1/messages/0000000000007"), 200, false, nil},
		{get(t, "/v1/messages/0000000000009"), 404, false, nil},
		{get(t, "/v1/messages/x"), 400, false, nil},
		{get(t, "/v1/destinations"), 200, false, nil},
		{get(t, "/v1/destinations"), 503, false, queue.ErrStopped},
		{post(t, "retry", `{"domain":"example.test"}`), 200, false, nil},
		{post(t, "hold", `{}`), 400, false, nil},
		{post(t, "explode", `{"all":true}`), 404, true, nil},
		{post(t, "hold", `{"nobody":1}`), 400, true, nil},
		{get(t, "/v1/why?what=0000000000007"), 200, false, nil},
		{get(t, "/v1/why?what=you%40example.test"), 200, false, nil},
		{get(t, "/v1/why?what=example.test"), 200, false, nil},
		{get(t, "/v1/why?what=0000000000009"), 404, false, nil},
		{get(t, "/v1/why?what=%20"), 400, false, nil},
		{get(t, "/v1/why?what=example.test&how=1"), 400, true, nil},
		{get(t, "/v1/bounces?since=2h&domain=example.test&code=550&status=5.1.1&limit=3"), 200, false, nil},
		{get(t, "/v1/bounces?since=yesterday"), 400, false, nil},
		{get(t, "/v1/bounces?kind=sad"), 400, true, nil},
		{get(t, "/v1/bounces?status=9"), 400, false, nil},
		{get(t, "/v1/bounces?after=x"), 400, false, nil},
		{get(t, "/v1/bounces/summary?since=7d"), 200, false, nil},
		{get(t, "/v1/bounces/summary?since=1h&until=2h"), 400, false, nil},
		{get(t, "/v1/incidents"), 200, false, nil},
		{get(t, "/v1/events?after=x"), 400, false, nil},
		{get(t, "/v1/events?limit=1"), 400, true, nil},
		{get(t, pathAlive), 200, false, nil},
		{get(t, pathReady), 200, false, nil},
		{get(t, pathDocument), 200, false, nil},
		{get(t, pathMetrics), 200, false, nil},
	} {
		q.broken = c.broken
		c.request.Header.Set("Authorization", "Bearer "+token) // the admin socket needs none, which the document cannot say
		var body []byte
		if c.request.Body != nil {
			body, _ = io.ReadAll(c.request.Body)
			c.request.Body = io.NopCloser(bytes.NewReader(body))
		}
		response, text := ask(t, client, c.request)
		c.request.Body = io.NopCloser(bytes.NewReader(body))
		if err := check.CheckRequest(c.request, body); err != nil != c.loose {
			t.Errorf("the request %s %s %s: %v", c.request.Method, c.request.URL, body, err)
		}
		if err := check.CheckAnswer(c.request, response, []byte(text)); err != nil || response.StatusCode != c.status {
			t.Errorf("%s %s: %d %s\n%v", c.request.Method, c.request.URL, response.StatusCode, text, err)
		}
	}
}
