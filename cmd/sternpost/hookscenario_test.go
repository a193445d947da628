package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// hook is a receiver of webhooks. An event that comes again, with the id of one that was answered with 2xx, is passed over.
type hook struct {
	secret []byte
	status int
	only   string // the recipient whose events are answered with status, all others with 200; empty: all are

	mu      sync.Mutex
	seen    map[string]bool
	events  []string
	tries   int
	changed chan struct{} // closed at the next try
}

// ServeHTTP implements http.Handler.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	id := r.Header.Get("webhook-id")
	sum := hmac.New(sha256.New, h.secret)
	sum.Write([]byte(id + "." + r.Header.Get("webhook-timestamp") + "."))
	sum.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil))
	var told struct {
		Type string
		Data struct{ Recipient string }
	}
	if err != nil || !strings.Contains(" "+r.Header.Get("webhook-signature")+" ", " "+want+" ") || json.Unmarshal(body, &told) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries++
	status := h.status
	if h.only != "" && told.Data.Recipient != h.only {
		status = http.StatusOK
	}
	if !h.seen[id] && status/100 == 2 {
		h.seen[id] = true
		h.events = append(h.events, told.Type+" "+told.Data.Recipient)
	}
	w.WriteHeader(status)
	close(h.changed)
	h.changed = make(chan struct{})
}

func startWebhook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: webhook ADDRESS SECRET [STATUS [RECIPIENT]]")
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(args[1], "whsec_"))
	ts.Check(err)
	h := &hook{secret: secret, status: http.StatusOK, seen: map[string]bool{}, changed: make(chan struct{})}
	if len(args) == 4 {
		h.only = args[3]
	}
	if len(args) > 2 {
		h.status, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	s := ts.Value("scenario").(*scenario)
	listener, err := net.Listen("tcp", net.JoinHostPort(args[0], s.port))
	ts.Check(err)
	server := &http.Server{Handler: h, ReadHeaderTimeout: patient}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	ts.Defer(func() { server.Close() })
	if s.hooks == nil {
		s.hooks = map[string]*hook{}
	}
	s.hooks[args[0]] = h
}

// waitTold waits for events; of a receiver that takes none, for tries.
func waitTold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: told ADDRESS N FILE")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	h := ts.Value("scenario").(*scenario).hooks[args[0]]
	if h == nil {
		ts.Fatalf("no receiver on %s", args[0])
	}
	late := time.After(patient)
	for {
		h.mu.Lock()
		events, tries, changed := strings.Join(h.events, "\n")+"\n", h.tries, h.changed
		enough := len(h.events) >= n || h.status/100 != 2 && h.only == "" && tries >= n
		h.mu.Unlock()
		if enough {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(events), 0o600))
			return
		}
		select {
		case <-changed:
		case <-late:
			ts.Fatalf("after %d tries it has heard\n%s", tries, events)
		}
	}
}
