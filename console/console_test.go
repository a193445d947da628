package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// fakeQueue holds messages, and remembers what it was asked for.
type fakeQueue struct {
	messages     []queue.Message
	destinations []Destination
	broken       error // told by Messages after the messages
	notReady     error
	asked        []string
	query        queue.Query
}

func (f *fakeQueue) Messages(_ context.Context, q queue.Query) iter.Seq2[queue.Message, error] {
	f.query = q
	return func(yield func(queue.Message, error) bool) {
		for i, m := range f.messages {
			if q.Limit > 0 && i == q.Limit || !yield(m, nil) {
				return
			}
		}
		if f.broken != nil {
			yield(queue.Message{}, f.broken)
		}
	}
}

func (f *fakeQueue) Message(_ context.Context, id queue.ID) (queue.Message, error) {
	i := slices.IndexFunc(f.messages, func(m queue.Message) bool { return m.ID == id })
	if i < 0 {
		return queue.Message{}, queue.ErrNotFound
	}
	return f.messages[i], nil
}

func (f *fakeQueue) Destinations(context.Context) ([]Destination, error) {
	return f.destinations, f.broken
}

func (f *fakeQueue) Change(_ context.Context, q queue.Query, a queue.Action) (queue.Effect, error) {
	f.query, f.asked = q, append(f.asked, string(a))
	return queue.Effect{Changed: 3}, f.broken
}

func (f *fakeQueue) Fail(_ context.Context, q queue.Query) (queue.Effect, error) {
	f.query, f.asked = q, append(f.asked, Fail)
	return queue.Effect{Changed: 2}, nil
}

func (f *fakeQueue) Flush(_ context.Context, d mail.Domain) (queue.Effect, error) {
	f.asked = append(f.asked, Flush+" "+string(d))
	return queue.Effect{Changed: 1}, nil
}

func (f *fakeQueue) Ready() error { return f.notReady }

// messageOn is a message to one recipient that was deferred once, with a reply that wants to be a terminal escape.
func messageOn(t *testing.T, id queue.ID) queue.Message {
	t.Helper()
	from, err := mail.ParseReversePath("me@client.test")
	if err != nil {
		t.Fatal(err)
	}
	to, err := mail.ParseAddress("you@example.test")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	return queue.Message{
		ID: id, Size: 100,
		Submission: queue.Submission{
			Envelope: mail.Envelope{From: from, Recipients: []mail.Recipient{{Address: to}}}, Sender: "me@client.test", Received: at,
		},
		Recipients: []queue.RecipientState{{Attempts: 1, Due: at.Add(time.Minute), Last: mail.Outcome{
			Disposition: mail.Deferred, Scope: mail.ScopeRecipient, Stage: mail.StageRcpt, Status: mail.Status{4, 7, 1},
			Reply: mail.Reply{Code: 450, Lines: []string{"450 4.7.1 later\u009b2J"}}, Host: "mx.example.test", IP: netip.MustParseAddr("192.0.2.1"),
		}}},
	}
}

// start runs a console on its socket, and on TCP where the configuration says so.
func start(t *testing.T, c Config, q Queue) (*Console, *http.Client) {
	t.Helper()
	return startWith(t, c, Deps{Queue: q})
}

func startWith(t *testing.T, c Config, d Deps) (*Console, *http.Client) {
	t.Helper()
	directory, err := os.MkdirTemp("", "console") // t.TempDir may be longer than the path of a socket can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	d.Directory = directory
	s, err := Open(c, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(directory, SocketName))
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, &http.Client{Transport: transport}
}

func ask(t *testing.T, client *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func get(t *testing.T, path string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://sternpost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func post(t *testing.T, action, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", "http://sternpost/v1/queue/"+action, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return request
}

func TestMessagesAreListedAndShown(t *testing.T) {
	q := &fakeQueue{messages: []queue.Message{messageOn(t, 1), messageOn(t, 2), messageOn(t, 3)}}
	_, client := start(t, DefaultConfig(), q)
	_, text := ask(t, client, get(t, "/v1/queue?limit=2&domain=EXAMPLE.test&recipient=you@Example.test&held=true&older_than=2d"))
	var list MessageList
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Messages) != 2 || !list.More {
		t.Fatalf("%v\n%s", err, text)
	}
	if strings.ContainsRune(text, '\u009b') || !strings.Contains(text, `"received":"2026-01-02T02:04:05Z"`) {
		t.Errorf("control characters, or times that are not UTC: %s", text)
	}
	r := list.Messages[0].Recipients[0]
	if r.State != "pending" || r.Last == nil || *r.Last.Code != 450 || r.Last.Recipient != "you@example.test" || r.Last.Status != "4.7.1" {
		t.Errorf("got %+v", r)
	}
	if q.query.Destination != "example.test" || !q.query.Held || q.query.Recipient != "you@example.test" || time.Since(q.query.ReceivedBefore) < 47*time.Hour {
		t.Errorf("asked for %+v", q.query)
	}
	_, one := ask(t, client, get(t, "/v1/messages/"+queue.ID(2).String()))
	if !strings.Contains(one, `"id":"0000000000002"`) {
		t.Errorf("got %s", one)
	}
}

func TestListsAreStreamed(t *testing.T) {
	q := &fakeQueue{}
	for i := range 1000 {
		q.messages = append(q.messages, messageOn(t, queue.ID(i+1)))
	}
	_, client := start(t, DefaultConfig(), q)
	request := get(t, "/v1/queue")
	request.Header.Set("Accept", typeLines)
	response, text := ask(t, client, request)
	if n := strings.Count(text, "\n"); n != 1000 || response.Header.Get("Content-Type") != typeLines {
		t.Errorf("%d lines of %q", n, response.Header)
	}
	// What breaks in the middle must not look like the end.
	q.broken = errors.New("the disk is gone")
	broken, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Body.Close()
	if _, err := io.ReadAll(broken.Body); err == nil {
		t.Error("a list that broke off came to a good end")
	}
}

func TestActions(t *testing.T) {
	q := &fakeQueue{messages: []queue.Message{messageOn(t, 7)}}
	_, client := start(t, DefaultConfig(), q)
	for _, c := range []struct{ action, body, want string }{
		{"retry", `{"domain":"example.test"}`, `{"action":"retry","recipients":3,"under_way":0}`},
		{"hold", `{"sender":"me@client.test"}`, `{"action":"hold","recipients":3,"under_way":0}`},
		{"release", `{"held":true}`, `{"action":"release","recipients":3,"under_way":0}`},
		{"remove", `{"all":true}`, `{"action":"remove","recipients":3,"under_way":0}`},
		{"fail", `{"id":"0000000000007"}`, `{"action":"fail","recipients":2,"under_way":0}`},
		{"flush", `{"domain":"example.test"}`, `{"action":"flush","recipients":1,"under_way":0}`},
		{"flush", `{"all":true}`, `{"action":"flush","recipients":1,"under_way":0}`},
	} {
		if _, text := ask(t, client, post(t, c.action, c.body)); strings.TrimSpace(text) != c.want {
			t.Errorf("%s %s: %s", c.action, c.body, text)
		}
	}
	if want := []string{"retry", "hold", "release", "remove", "fail", "flush example.test", "flush "}; !slices.Equal(q.asked, want) {
		t.Errorf("asked for %q", q.asked)
	}
}

// The null reverse-path chooses reports and nothing else.
func TestMailOfNobody(t *testing.T) {
	report := messageOn(t, 8)
	report.Envelope.From, report.Sender = mail.ReversePath{}, ""
	q := &fakeQueue{messages: []queue.Message{messageOn(t, 7), report, messageOn(t, 9)}}
	_, client := start(t, DefaultConfig(), q)
	_, text := ask(t, client, get(t, "/v1/queue?sender=%3C%3E&limit=1"))
	var list MessageList
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Messages) != 1 || list.Messages[0].ID != report.ID.String() || list.More {
		t.Errorf("%v\n%s", err, text)
	}
	for _, action := range []string{"remove", "fail"} {
		if _, text := ask(t, client, post(t, action, `{"sender":"<>","domain":"example.test"}`)); !strings.Contains(text, `"recipients":`) {
			t.Errorf("got %s", text)
		}
		if want := (queue.Query{ID: 8, Destination: "example.test"}); q.query != want {
			t.Errorf("%s was asked for with %+v", action, q.query)
		}
	}
	if !slices.Equal(q.asked, []string{"remove", "fail"}) {
		t.Errorf("asked for %q", q.asked)
	}
}

func TestProblems(t *testing.T) {
	q := &fakeQueue{}
	_, client := start(t, DefaultConfig(), q)
	noType := post(t, "retry", `{"all":true}`)
	noType.Header.Del("Content-Type")
	put := get(t, "/v1/queue")
	put.Method = "PUT"
	for _, c := range []struct {
		request *http.Request
		status  int
		detail  string
	}{
		{get(t, "/v2"), 404, "no such path"},
		{put, 405, "use GET"},
		{get(t, "/v1/messages/0000000000009"), 404, "no such message"},
		{get(t, "/v1/messages/x"), 400, "not a message id"},
		{get(t, "/v1/queue?recepient=x"), 400, "no parameter"},
		{get(t, "/v1/queue?limit=-1"), 400, "negative"},
		{get(t, "/v1/bounces?category=bad-mail"), 400, "bad-mailbox"},
		{get(t, "/v1/bounces?recipient=you"), 400, "recipient: "},
		{get(t, "/v1/bounces?sender=shop"), 400, "sender: "},
		{get(t, "/v1/incidents?category=bad-mail"), 400, "bad-mailbox"},
		{get(t, "/v1/bounces?since=1h&until=2h"), 400, "not behind since"},
		{get(t, "/v1/bounces?until=2d"), 400, "not behind since"},
		{get(t, "/v1/queue?limit=many"), 400, "limit"},
		{get(t, "/v1/queue?older_than=-3h"), 400, "not an age"},
		{get(t, "/v1/queue?older_than=0s"), 400, "not an age"},
		{get(t, "/v1/queue?id=0000000000000"), 400, "not a message id"},
		{get(t, "/v1/queue?domain=-x"), 400, "hyphen"},
		{post(t, "explode", `{"all":true}`), 404, "no action"},
		{post(t, "remove", `{}`), 400, "nothing is selected"},
		{post(t, "remove", `{"all":true,"held":true}`), 400, "no other choice"},
		{post(t, "remove", `{"recepient":"you@example.test"}`), 400, "unknown field"},
		{post(t, "remove", `{"all":true}{"all":true}`), 400, "more than one"},
		{post(t, "remove", `{"held":true,"limit":1}`), 400, "limit"},
		{post(t, "remove", `{"id":"0000000000009"}`), 404, "no such message"},
		{post(t, "flush", `{"held":true}`), 400, "flush takes"},
		{post(t, "retry", `{"sender":"`+strings.Repeat("x", maxBody)+`"}`), 413, "longer than"},
		{noType, 415, "application/json"},
	} {
		response, text := ask(t, client, c.request)
		var p Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.Status != c.status || response.StatusCode != c.status ||
			!strings.Contains(p.Detail, c.detail) || response.Header.Get("Content-Type") != problemType || p.Title == "" || p.Type != "about:blank" {
			t.Errorf("%s %s: %v, %d %s", c.request.Method, c.request.URL, err, response.StatusCode, text)
		}
	}
	if len(q.asked) != 0 {
		t.Errorf("something was changed: %q", q.asked)
	}
}

func TestReadiness(t *testing.T) {
	q := &fakeQueue{notReady: queue.ErrStopped}
	_, client := start(t, DefaultConfig(), q)
	if response, text := ask(t, client, get(t, pathReady)); response.StatusCode != 503 || !strings.Contains(text, "stopped") {
		t.Errorf("got %d %s", response.StatusCode, text)
	}
	if response, _ := ask(t, client, get(t, pathAlive)); response.StatusCode != 200 {
		t.Errorf("got %d", response.StatusCode)
	}
}

const token = "a-rather-long-token"

func TestTCPNeedsTheToken(t *testing.T) {
	c := Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Token: token}
	s, _ := start(t, c, &fakeQueue{})
	base := "http://" + s.Addrs()[0].String()
	for _, c := range []struct {
		path, authorization string
		status              int
	}{
		{"/v1/queue", "", 401}, {"/v1/queue", "Bearer", 401}, {"/v1/queue", "Bearer x", 401}, {"/v1/queue", "Basic " + token, 401},
		{"/v1/queue", "Bearer " + token, 200}, {"/v1/queue", "bearer " + token, 200}, {"/healthz", "", 200}, {"/readyz", "", 200}, {"/readyz/../v1/queue", "", 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", base+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.authorization != "" {
			request.Header.Set("Authorization", c.authorization)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		response, text := ask(t, &http.Client{Transport: transport}, request)
		if response.StatusCode != c.status {
			t.Errorf("%s %q: %d %s", c.path, c.authorization, response.StatusCode, text)
		}
	}
}

func TestConfig(t *testing.T) {
	at := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8025")}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{DefaultConfig(), ""}, {Config{Listen: at, Token: token}, ""}, {Config{Listen: at}, "console.listen"},
		{Config{Listen: at, Token: "short"}, "console.token"}, {Config{Token: "a token with blanks in it"}, "console.token"},
	} {
		err := c.config.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

func TestAdminSocket(t *testing.T) {
	directory := t.TempDir()
	if _, err := Open(DefaultConfig(), Deps{Directory: filepath.Join(directory, strings.Repeat("x", 100))}); err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("a long path: %v", err)
	}
	short, err := os.MkdirTemp("", "console")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	path := filepath.Join(short, SocketName)
	if err := os.WriteFile(path, nil, 0o600); err != nil { // what a dead process left
		t.Fatal(err)
	}
	s, err := Open(DefaultConfig(), Deps{Directory: short})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := os.Stat(path)
	if err != nil || entry.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", entry.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
