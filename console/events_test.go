package console

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sternpost/journal"
)

// listen opens a stream of events, and reads its next event: id, kind and octets.
func listen(t *testing.T, client *http.Client, path, last string) func() (id, kind, octets string) {
	t.Helper()
	request := get(t, path)
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != typeEvents {
		t.Fatalf("%s %s", response.Status, response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	return func() (id, kind, octets string) {
		t.Helper()
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "id":
				id = value
			case name == "event":
				kind = value
			case name == "data":
				octets = value
			case lines.Text() == "" && octets != "":
				return id, kind, octets
			}
		}
		return "", "", ""
	}
}

func TestEventsAreFollowed(t *testing.T) {
	d := toldOf(&fakeQueue{})
	told := d.Journal.(*book)
	_, client := startWith(t, DefaultConfig(), d)
	next := listen(t, client, "/v1/events", "")
	told.write(failedAt(-time.Second, "new@example.test", 550))
	id, kind, octets := next()
	if kind != "failed" || !strings.Contains(octets, "new@example.test") || !strings.Contains(octets, `"category":"bad-mailbox"`) {
		t.Errorf("%s %s %s", id, kind, octets)
	}
	// Whoever comes again misses nothing, and gets nothing twice, also within one commit.
	same := failedAt(0, "same@example.test", 450)
	same.Cursor = told.entries[len(told.entries)-1].Cursor
	same.Cursor.Seq++
	told.write(same)
	if _, _, octets := listen(t, client, "/v1/events", id)(); !strings.Contains(octets, "same@example.test") {
		t.Errorf("behind %s comes %s", id, octets)
	}
}

func TestEventsOfATime(t *testing.T) {
	d := toldOf(&fakeQueue{})
	_, client := startWith(t, DefaultConfig(), d)
	next := listen(t, client, "/v1/events?since=1d&kind=failed&category=bad-mailbox", "")
	for i, want := range []string{"one@", "three@", "me@", "new@"} {
		if i == 3 {
			d.Journal.(*book).write(failedAt(0, "new@example.test", 550))
		}
		if _, _, octets := next(); !strings.Contains(octets, want) {
			t.Errorf("got %s, want %s", octets, want)
		}
	}
}

// A stream ends with the agent, and does not keep it.
func TestEventsEndWithUs(t *testing.T) {
	d := toldOf(&fakeQueue{})
	directory, err := os.MkdirTemp("", "console")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(directory)
	d.Directory = directory
	c, err := Open(DefaultConfig(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	next := listen(t, &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(directory, SocketName))
	}}}, "/v1/events?since=1d&kind=delivered", "")
	next()
	stop()
	began := time.Now()
	if _, _, octets := next(); octets != "" {
		t.Errorf("behind the end comes %s", octets)
	}
	if err := <-ended; err != nil || time.Since(began) >= drainTimeout {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestCursors(t *testing.T) {
	want := journal.Cursor{Time: time.Unix(0, 1795641978589186634), Seq: 7}
	if got, err := parseCursor(cursorText(want)); err != nil || !got.Time.Equal(want.Time) || got.Seq != want.Seq {
		t.Errorf("%v %v", got, err)
	}
	for _, text := range []string{"", "1", "-1", "1-", "-1-1", "x-1", "1-x", "1-4294967296", "99999999999999999999-1"} {
		if c, err := parseCursor(text); err == nil {
			t.Errorf("%q is %v", text, c)
		}
	}
}
