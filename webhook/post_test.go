package webhook

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sternpost/journal"
)

// The example of the specification of Standard Webhooks.
func TestSignature(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	got := sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	want(t, "signature", got, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	two := sign([][]byte{key, []byte("x")}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	if first, second, found := strings.Cut(two, " "); first != got || !found || !strings.HasPrefix(second, "v1,") {
		t.Error(two)
	}
}

// once posts one event to an address.
func once(t *testing.T, address string, transport http.RoundTripper) error {
	t.Helper()
	d := newDiary()
	n, err := New([]Endpoint{{URL: address, Secrets: []string{secret}}}, Deps{Journal: d, Bookmarks: d, Transport: transport, Agent: "Sternpost/test"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.client.CloseIdleConnections()
	d.write(journal.Failed, "x@b.example")
	told, err := eventOf(d.entries[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return n.endpoints[0].post(ctx, told)
}

func TestPostOverHTTP(t *testing.T) {
	asked := map[string]int{}
	var header http.Header
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		asked[r.Method+" "+r.URL.Path]++
		header = r.Header.Clone()
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/large":
			for range 1000 { // more than anybody reads
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, text := range map[string]string{"/ok": "", "/moved": "the endpoint answers 307 Temporary Redirect", "/gone": errGone.Error(), "/large": ""} {
		err := once(t, server.URL+path, nil)
		if (err == nil) != (text == "") || err != nil && err.Error() != text {
			t.Errorf("%s: %v, want %q", path, err, text)
		}
		if asked["POST "+path] != 1 {
			t.Errorf("%s: asked %v", path, asked)
		}
	}
	if asked["POST /ok"] != 1 {
		t.Error("the redirection was followed")
	}
	for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		if header.Get(name) == "" {
			t.Errorf("there is no %s", name)
		}
	}
	want(t, "media type", header.Get("Content-Type"), "application/json")
	want(t, "agent", header.Get("User-Agent"), "Sternpost/test")
}

// A certificate that nobody vouches for is refused, and no error tells the secrets of a URL.
func TestCertificatesAreVerified(t *testing.T) {
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	err := once(t, server.URL+"/?token=hidden", nil)
	if err == nil || asked != 0 || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v, asked %d times", err, asked)
	}
	if err := once(t, server.URL, server.Client().Transport); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

func TestDelay(t *testing.T) {
	for _, c := range []struct {
		failures int
		random   float64
		err      error
		want     time.Duration
	}{
		{1, .5, nil, 5 * time.Second}, {1, 0, nil, 4500 * time.Millisecond}, {2, 1, nil, 16500 * time.Millisecond}, {7, .5, nil, time.Hour}, {1000, 1, nil, time.Hour},
		{1, .5, refusal{wait: time.Minute}, time.Minute}, {1, .5, refusal{wait: 24 * time.Hour}, time.Hour}, {4, .5, refusal{wait: time.Second}, 5 * time.Minute},
	} {
		if got := delay(c.failures, c.random, c.err); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
