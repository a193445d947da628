package submission

import (
	"testing"
)

func TestSendersOfUsers(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Domain: "example.org", Users: []User{
		{Name: "any"}, {Name: "shop", Senders: []string{"Shop@example.com", ".example.net"}}, {Name: "robot", Senders: []string{"<>", "*"}}, {Name: "all", Senders: []string{"*"}},
		{Name: "local", Senders: []string{"root@example.org"}},
	}})
	for _, c := range []struct{ user, from, want string }{
		{"", "a@b.example", ""},
		{"", "", ""},
		{"any", "a@b.example", ""},
		{"any", "", ""},
		{"unknown", "a@b.example", ""},
		{"shop", "shop@EXAMPLE.com", ""},
		{"shop", "other@example.com", "553 5.7.1 "},
		{"shop", "a@b.example.net", ""},
		{"shop", "a@example.net", "553 5.7.1 "},
		{"shop", "a@badexample.net", "553 5.7.1 "},
		{"shop", "", "550 5.7.1 "},
		{"shop", "shop", "553 5.7.1 "},
		{"robot", "", ""},
		{"robot", "a@b.example", ""},
		{"all", "", "550 5.7.1 "},
		{"local", "root", ""},
	} {
		l := letter(t, c.user, c.from, "to@x.example")
		wantRefusal(t, c.user+" from "+c.from, desk.Sender(l.Client, l.Envelope.From), c.want)
		_, err := desk.Submit(l, "Subject: x\r\n\r\n")
		wantRefusal(t, "submit: "+c.user+" from "+c.from, err, c.want)
	}
	taken := desk.messages()
	if last := taken[len(taken)-1]; last.Envelope.From.String() != "root@example.org" || last.Sender != "local" {
		t.Errorf("the sender was not completed: %+v", last.Submission)
	}
}
