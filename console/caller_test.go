package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"sternpost/queue"
)

// echo answers with who asks.
type echo struct{}

func (echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := json.Marshal(CallerOf(r))
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(text)
}

const appToken = "token-of-the-application"

// An application may hand in mail and ask after its own, and nothing else; whoever administers may do everything.
func TestWhoMayDoWhat(t *testing.T) {
	own := messageOn(t, 7)
	own.Sender = "app"
	q := &fakeQueue{messages: []queue.Message{own, messageOn(t, 8)}}
	listen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	s, socket := startWith(t, Config{Listen: listen, Token: token, Tokens: []Token{{appToken, "app"}}}, Deps{Queue: q, Submission: echo{}})
	open, _ := startWith(t, Config{Listen: listen, MetricsWithoutToken: true, Tokens: []Token{{appToken, "app"}}}, Deps{Queue: q})
	tcp := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		console             *Console
		method, path, token string
		status              int
		want                string
	}{
		{s, "POST", "/v1/messages", "", 401, "token"},
		{s, "POST", "/v1/messages", appToken + "x", 401, "token"},
		{s, "POST", "/v1/messages", appToken, 200, `{"User":"app","UID":-1,"Address":"127.0.0.1"}`},
		{s, "POST", "/v1/messages", token, 200, `{"User":"","UID":-1,"Address":"127.0.0.1"}`},
		{s, "GET", "/v1/messages", appToken, 405, "POST"},
		{s, "GET", "/v1/messages/0000000000007", appToken, 200, `"account":"app"`},
		{s, "GET", "/v1/messages/0000000000008", appToken, 404, "no such message"},
		{s, "GET", "/v1/messages/0000000000008", token, 200, `"id"`},
		{s, "GET", "/v1/queue", appToken, 403, "app"},
		{s, "GET", "/v1/destinations", appToken, 403, "app"},
		{s, "POST", "/v1/queue/remove", appToken, 403, "app"},
		{s, "GET", "/metrics", appToken, 403, "app"},
		{s, "GET", "/metrics", "", 401, "token"},
		{s, "GET", "/metrics", token, 200, "sternpost_ready 1"},
		{s, "GET", "/v1/openapi.json", "", 200, `"openapi"`},
		{open, "GET", "/metrics", "", 200, "sternpost_ready 1"},
		{open, "GET", "/metrics", appToken, 200, "sternpost_ready 1"},
		{open, "GET", "/v1/queue", "", 401, "token"},
		{open, "POST", "/v1/messages", appToken, 503, "no mail"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+c.console.Addrs()[0].String()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			request.Header.Set("Authorization", "Bearer "+c.token)
		}
		if response, text := ask(t, tcp, request); response.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %s %q: %d %.300s", c.method, c.path, c.token, response.StatusCode, text)
		}
	}
	request := get(t, "/v1/messages")
	request.Method = "POST"
	var c Caller
	if _, text := ask(t, socket, request); json.Unmarshal([]byte(text), &c) != nil || c.UID != os.Getuid() || c.User != "" || c.Address.IsValid() {
		t.Errorf("on the admin socket: %s", text)
	}
	if len(q.asked) != 0 {
		t.Errorf("something was changed: %q", q.asked)
	}
}

func TestTokensAreChecked(t *testing.T) {
	at := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8025")}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Listen: at, Tokens: []Token{{appToken, "app"}}}, ""},
		{Config{Tokens: []Token{{"short", "app"}}}, "console.tokens[0].token"},
		{Config{Tokens: []Token{{"", "app"}}}, "console.tokens[0].token"},
		{Config{Tokens: []Token{{appToken, ""}}}, "console.tokens[0].user"},
		{Config{Tokens: []Token{{appToken, "a user"}}}, "console.tokens[0].user"},
		{Config{Token: appToken, Tokens: []Token{{appToken, "app"}}}, "console.tokens[0].token"},
		{Config{Tokens: []Token{{appToken, "app"}, {appToken, "other"}}}, "console.tokens[1].token"},
	} {
		err := c.config.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

// A token that is not configured is nobody's, also not the empty one: with it everybody would administer.
func TestWhoseToken(t *testing.T) {
	c := &Console{config: Config{Tokens: []Token{{appToken, "app"}}}}
	for authorization, want := range map[string]string{
		"Bearer " + appToken: "app", "bearer " + appToken: "app", "Bearer ": "-", "Bearer": "-", "": "-", " ": "-", appToken: "-", "Basic " + appToken: "-", "Bearer  " + appToken: "-",
		"Bearer " + appToken + " ": "-",
	} {
		user, known := c.userOf(authorization)
		if !known {
			user += "-"
		}
		if user != want {
			t.Errorf("%q: %q, want %q", authorization, user, want)
		}
	}
}

// A user's share is given back with each answer.
func TestSharesAreGivenBack(t *testing.T) {
	c := &Console{config: Config{Tokens: []Token{{appToken, "app"}}}}
	answers := c.guarded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for n := range maxOfUser + 1 {
		r := httptest.NewRequest("GET", "/v1/messages/1", nil)
		r.Header.Set("Authorization", "Bearer "+appToken)
		w := httptest.NewRecorder()
		if answers.ServeHTTP(w, r); w.Code != 200 {
			t.Fatalf("request %d of one user after the other: %d", n+1, w.Code)
		}
	}
}
