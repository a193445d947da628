package submission

import (
	"strings"
	"testing"

	"sternpost/queue"
)

func TestHeaderIsRead(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		text  string
		hops  int
		id    string
		ended bool
	}{
		{"Received: a\r\n\tb\r\nreceived : c\r\n\r\nReceived: body\r\n", 2, "", true},
		{"Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n", 0, "a@b", false},
		{"Message-ID:\r\n\t<a@b>\r\nSubject: <x>\r\n\r\n", 0, "a@b", true},
		{"Message-ID: a@b\r\n\r\n", 0, "", true},
		{"Message-ID: <a\x1b@b>\r\n\r\n", 0, "", true},
		{"Message-ID: <a @b>\r\n\r\n", 0, "", true},
		{"Message-ID: <" + long + ">\r\n\r\n", 0, "", true},
		{"X: " + long + "\r\nReceived: " + long + "\r\n\t" + long + "\r\nMessage-ID: <a@b>\r\n\r\n", 1, "a@b", true},
		{"no field\r\nReceived: a\r\n", 0, "", true},
		{": no name\r\nReceived: a\r\n", 0, "", true},
		{"\r\n", 0, "", true},
		{"", 0, "", false},
	} {
		for _, size := range []int{1, 2, 3, 7, 64, 1 << 20} {
			var h header
			for rest := c.text; rest != ""; {
				n := min(size, len(rest))
				h.scan([]byte(rest[:n]))
				rest = rest[n:]
			}
			if h.hops != c.hops || h.messageID() != c.id || h.ended != c.ended {
				t.Errorf("%.60q by %d: %d hops, id %q, ended %v", c.text, size, h.hops, h.messageID(), h.ended)
			}
		}
	}
}

func TestBulkMail(t *testing.T) {
	for text, want := range map[string]queue.Priority{
		"Precedence: bulk\r\n\r\n":               queue.Bulk,
		"precedence:  LIST \r\n\r\n":             queue.Bulk,
		"Precedence: first-class\r\n\r\n":        queue.Normal,
		"Subject: Precedence: bulk\r\n\r\n":      queue.Normal,
		"Subject: x\r\n\r\nPrecedence: bulk\r\n": queue.Normal,
	} {
		var h header
		h.scan([]byte(text))
		if got := h.priority(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
