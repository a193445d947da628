//go:build crash

package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drained waits until the agent says that nothing waits. What has not arrived by then is lost: the books tell.
func (a *agent) drained(t *testing.T) {
	t.Helper()
	a.await(t, "an empty queue", func() bool {
		n, err := a.waiting(t)
		return err == nil && n == 0
	})
}

// waiting is how many messages are in the queue, by destination.
func (a *agent) waiting(t *testing.T) (int, error) {
	var list struct {
		Destinations []struct {
			Messages int `json:"messages"`
		} `json:"destinations"`
	}
	answer, err := a.ask(t, "/v1/destinations")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, errors.New(answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return 0, err
	}
	n := 0
	for _, d := range list.Destinations {
		n += d.Messages
	}
	return n, nil
}

// readiness is the status of the readiness path; 0: nobody answers.
func (a *agent) readiness(t *testing.T) int {
	answer, err := a.ask(t, "/readyz")
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// ask is one question to the admin socket.
func (a *agent) ask(t *testing.T, path string) (*http.Response, error) {
	socket := filepath.Join(a.home.queue, "sternpost.sock")
	client := &http.Client{Timeout: clientPatience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

// recorded counts the delivery lines that say delivered, for each copy. They are written when the outcome is durable.
func (h *home) recorded(t *testing.T) map[string]int {
	t.Helper()
	have := map[string]int{}
	h.lines(t, func(line delivery) {
		if line.Disposition != "delivered" {
			return
		}
		name, _, _ := strings.Cut(line.From, "@")
		_, domain, _ := strings.Cut(line.To, "@")
		have[name+" "+domain]++
	})
	return have
}

// delivery is a delivery line of the log, as far as we look at it.
type delivery struct {
	Msg, ID, From, To, Disposition string
}

// lines gives each delivery line of the log to a function.
func (h *home) lines(t *testing.T, each func(delivery)) {
	t.Helper()
	file, err := os.Open(h.log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line delivery
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "delivery" {
			each(line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// ids are the messages that the delivery lines tell of, by the name of the letter.
func (h *home) ids(t *testing.T) map[string]map[string]bool {
	t.Helper()
	have := map[string]map[string]bool{}
	h.lines(t, func(line delivery) {
		name, _, _ := strings.Cut(line.From, "@")
		if have[name] == nil {
			have[name] = map[string]bool{}
		}
		have[name][line.ID] = true
	})
	return have
}

// once checks that nothing was sent again whose delivery had been recorded, and returns how many deliveries were.
func (h *home) once(t *testing.T) int {
	t.Helper()
	have := h.recorded(t)
	for c, n := range have {
		if n > 1 {
			t.Errorf("%s: its delivery was recorded %d times", c, n)
		}
	}
	return len(have)
}

// tail is the end of the log.
func (h *home) tail() string {
	text, err := os.ReadFile(h.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}
