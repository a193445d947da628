package submission

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

func TestRecipientsPerHour(t *testing.T) {
	desk := newCounter(t, IntakeConfig{RecipientsPerHour: 3, Users: []User{{Name: "shop"}, {Name: "bulk", RecipientsPerHour: 100}}})
	send := func(user string, n int, want string) {
		t.Helper()
		l := letter(t, user, "a@b.example")
		for i := range n {
			l.Envelope.Recipients = append(l.Envelope.Recipients, mail.Recipient{Address: mail.Address{Local: fmt.Sprint(i), Domain: "x.example"}})
		}
		_, err := desk.Submit(l, "Subject: x\r\n\r\n")
		wantRefusal(t, fmt.Sprintf("%s to %d at %s", user, n, desk.now), err, want)
	}
	ask := func(user, want string) {
		t.Helper()
		_, err := desk.Recipient(Client{User: user}, mail.ReversePath{}, mail.Recipient{Address: mail.Address{Local: "a", Domain: "x.example"}})
		wantRefusal(t, "RCPT of "+user, err, want)
	}
	send("shop", 4, "550 5.7.1 the message has 4 recipients, and you may send to 3 an hour")
	send("shop", 2, "")
	desk.now = desk.now.Add(20 * time.Minute)
	send("shop", 2, "450 4.7.1 you may send to 3 recipients an hour; try again in 41 minutes")
	ask("shop", "")
	desk.refuse = queue.ErrFull // what is not accepted does not count
	if _, err := desk.Submit(letter(t, "shop", "a@b.example", "c@d.example"), "\r\n"); !errors.Is(err, queue.ErrFull) {
		t.Error(err)
	}
	desk.refuse = nil
	send("shop", 1, "")
	ask("shop", "450 4.7.1 you may send to 3 recipients an hour; try again in 41 minutes")
	send("", 50, "")
	send("bulk", 50, "")
	send("other", 3, "")
	send("other", 1, "450 4.7.1 ")
	desk.now = desk.now.Add(40 * time.Minute) // an hour after the first two, and not a minute more
	send("shop", 1, "450 4.7.1 you may send to 3 recipients an hour; try again in 1 minute")
	desk.now = desk.now.Add(time.Minute)
	send("shop", 2, "")
	send("shop", 1, "450 4.7.1 ")
	desk.now = desk.now.Add(48 * time.Hour)
	send("shop", 3, "")
	desk.now = desk.now.Add(-time.Hour) // the clock is set back
	send("shop", 1, "450 4.7.1 ")
	desk.now = desk.now.Add(time.Hour) // and is where it was
	send("shop", 1, "450 4.7.1 ")
	if err := desk.Reload(IntakeConfig{RecipientsPerHour: 4, Users: []User{{Name: "shop"}}}); err != nil {
		t.Fatal(err)
	}
	send("shop", 1, "")
	desk.now = desk.now.Add(61 * time.Minute)
	send("other", 3, "")
	if err := desk.Reload(IntakeConfig{RecipientsPerHour: 4}); err != nil {
		t.Fatal(err)
	}
	if n := len(desk.sent.users); n != 1 {
		t.Errorf("%d users are counted, one of which has sent something", n)
	}
	send("other", 2, "450 4.7.1 ") // a reload is no gift
}

// Whoever comes at the same time, the limit holds to the recipient, under the rules of the moment.
func TestLimitHoldsInACrowd(t *testing.T) {
	const limit = 20
	config := IntakeConfig{RecipientsPerHour: limit, Users: []User{{Name: "shop"}}}
	desk := newCounter(t, config)
	var taken atomic.Int64
	var crowd sync.WaitGroup
	for n := range 100 {
		crowd.Go(func() {
			if n%10 == 0 {
				if err := desk.Reload(config); err != nil {
					t.Error(err)
				}
			}
			if _, err := desk.Submit(letter(t, "shop", "a@b.example", "c@d.example"), fmt.Sprintf("X-Number: %d\r\n\r\n%s", n, strings.Repeat("body\r\n", 10*n))); err == nil {
				taken.Add(1)
			}
		})
	}
	crowd.Wait()
	if taken.Load() != limit || len(desk.messages()) != limit {
		t.Errorf("%d were taken, want %d", taken.Load(), limit)
	}
	for _, m := range desk.messages() {
		var number int
		_, after, _ := strings.Cut(m.content, "X-Number: ")
		if _, err := fmt.Sscan(after, &number); err != nil || strings.Count(m.content, "body\r\n") != 10*number {
			t.Errorf("message %d has the body of another: %q", number, m.content)
		}
	}
}
