package submission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"sternpost/queue"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct{ door, header, want string }{
		{"", "", ""},
		{"k", "", ""},
		{"", "Idempotency-Key: k-1/2~\r\n", ""},
		{"k", "idempotency-key:\r\n\tk \r\n", ""},
		{"k", "Idempotency-Key: other\r\n", "554 5.6.0 the Idempotency-Key in the header is not"},
		{"", "Idempotency-Key: \r\n", "554 5.6.0 the Idempotency-Key in the header is empty"},
		{"", "Idempotency-Key: a b\r\n", "554 5.6.0 an idempotency key is printable ASCII without spaces"},
		{"", "Idempotency-Key: caf\xc3\xa9\r\n", "554 5.6.0 an idempotency key is printable ASCII without spaces"},
		{"a\r\nb", "", "554 5.6.0 an idempotency key is printable ASCII without spaces"},
		{strings.Repeat("k", 255), "", ""},
		{strings.Repeat("k", 256), "", "554 5.6.0 an idempotency key has 1 to 255 octets"},
		{"", "Idempotency-Key: " + strings.Repeat("k", 5000) + "\r\n", "554 5.6.0 an idempotency key has 1 to 255 octets"},
	} {
		desk := newCounter(t, IntakeConfig{})
		l := letter(t, "", "a@b.example", "c@d.example")
		l.Key = c.door
		_, err := desk.Submit(l, c.header+"Subject: x\r\n\r\nbody\r\n")
		wantRefusal(t, fmt.Sprintf("%.20q and %.40q", c.door, c.header), err, c.want)
		if err == nil && strings.Contains(strings.ToLower(desk.messages()[0].content), "idempotency") {
			t.Errorf("the key stays in %q", desk.messages()[0].content)
		}
	}
}

// ledger is an Acceptor that knows keys, as the queue does.
type ledger struct {
	drop
	digests map[string][32]byte
}

func (k *ledger) Submit(ctx context.Context, s queue.Submission, content io.Reader) (queue.Accepted, error) {
	accepted, err := k.drop.Submit(ctx, s, content)
	known, again := k.digests[s.Sender+s.Key]
	digest := content.(queue.Digester).Digest()
	switch {
	case err != nil || s.Key == "":
		return accepted, err
	case again && known != digest:
		return queue.Accepted{}, queue.ErrOtherContent
	case again:
		return queue.Accepted{ID: 77, Repeated: true}, nil
	}
	k.digests[s.Sender+s.Key] = digest
	return accepted, nil
}

func TestKeysGoToTheQueue(t *testing.T) {
	desk, err := NewIntake(IntakeConfig{RecipientsPerHour: 2}, IntakeDeps{Queue: &ledger{digests: map[string][32]byte{}}, Hostname: hostname})
	if err != nil {
		t.Fatal(err)
	}
	send := func(user, key, content string) (Receipt, error) {
		l := letter(t, user, "a@b.example", "c@d.example")
		l.Key = key
		return desk.Submit(t.Context(), l, strings.NewReader(content))
	}
	for n := range 5 { // what was accepted before does not count
		header := []string{"Subject: x\r\n\r\nbody\r\n", "Idempotency-Key: k\r\nSubject: x\r\nBcc: y\r\n\r\nbody\r\n"}[n%2]
		if receipt, err := send("shop", "k", header); err != nil || receipt.Repeated != (n > 0) {
			t.Errorf("time %d: %+v, %v", n, receipt, err)
		}
	}
	_, err = send("shop", "k", "Subject: x\r\n\r\nother\r\n")
	wantRefusal(t, "other content", err, "554 5.6.0 another message was accepted with the same Idempotency-Key")
	if !errors.Is(err, queue.ErrOtherContent) {
		t.Errorf("%v is not ErrOtherContent", err)
	}
	if receipt, err := send("shop", "", "Subject: x\r\n\r\nother\r\n"); err != nil || receipt.Repeated {
		t.Errorf("without a key: %+v, %v", receipt, err)
	}
	desk.deps.Queue.(*ledger).refuse = queue.ErrOver
	_, err = send("", "", "\r\n")
	wantRefusal(t, "too late", err, "550 5.4.7 ")
}
