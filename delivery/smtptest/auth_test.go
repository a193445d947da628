package smtptest

import (
	"slices"
	"testing"
)

func TestAuthChecksCredentials(t *testing.T) {
	const script = "credentials alice s3cret\ncredentials bob@x.test tok\\x20en"
	xoauth2 := b64("user=alice\x01auth=Bearer s3cret\x01\x01")
	for name, c := range map[string]struct {
		dialogue []string // what the client says and hears, in turn
		user     string
	}{
		"PLAIN":                {[]string{"AUTH PLAIN " + b64("\x00alice\x00s3cret"), "235"}, "alice"},
		"PLAIN in two":         {[]string{"auth plain", "334 ", b64("z\x00alice\x00s3cret"), "235"}, "alice"},
		"PLAIN wrong":          {[]string{"AUTH PLAIN " + b64("\x00alice\x00guess"), "535 5.7.8"}, ""},
		"PLAIN no base64":      {[]string{"AUTH PLAIN !!", "535"}, ""},
		"LOGIN":                {[]string{"AUTH LOGIN", "334 VXNlcm5hbWU6", b64("bob@x.test"), "334 UGFzc3dvcmQ6", b64("tok en"), "235"}, "bob@x.test"},
		"LOGIN initial":        {[]string{"AUTH LOGIN " + b64("alice"), "334", b64("s3cret"), "235"}, "alice"},
		"XOAUTH2":              {[]string{"AUTH XOAUTH2 " + xoauth2, "235"}, "alice"},
		"XOAUTH2 wrong":        {[]string{"AUTH XOAUTH2", "334", b64("user=alice\x01auth=Bearer no\x01\x01"), "334 eyJ", "", "535"}, ""},
		"OAUTHBEARER":          {[]string{"AUTH OAUTHBEARER " + b64("n,a=bob@x.test,\x01host=h\x01auth=Bearer tok en\x01\x01"), "235"}, "bob@x.test"},
		"OAUTHBEARER wrong":    {[]string{"AUTH OAUTHBEARER " + b64("n,a=bob=40x,\x01auth=Bearer no\x01\x01"), "334", "AQ==", "535"}, ""},
		"unknown mechanism":    {[]string{"AUTH CRAM-MD5", "504"}, ""},
		"nothing but the verb": {[]string{"AUTH", "504"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, script, func(t *testing.T, s *Server, client *client) {
				client.greet()
				for say := range slices.Chunk(c.dialogue, 2) {
					client.ask(say[0], say[1])
				}
				client.ask("MAIL FROM:<>", "250")
				heard := s.Connections()[0]
				if a := heard.Auths[0]; a.Accepted != (c.user != "") || a.Accepted && a.User != c.user {
					t.Errorf("heard %+v", a)
				}
				if got := s.Transactions()[0].User; got != c.user {
					t.Errorf("the transaction is of %q", got)
				}
				if len(heard.Commands) != 3 {
					t.Errorf("commands %q", heard.Commands)
				}
			})
		})
	}
}

func TestScriptedAuth(t *testing.T) {
	inBubble(t, `
offer AUTH PLAIN
auth #1 454 4.7.0 temporary
auth #2 at-once / 538 5.7.11 encryption required
auth 235 anybody
`, func(t *testing.T, s *Server, c *client) {
		c.greet()
		c.ask("AUTH PLAIN", "334")
		c.ask(b64("\x00eve\x00x"), "454")
		c.ask("AUTH PLAIN", "538")
		c.ask("AUTH PLAIN "+b64("a\x00eve\x00x"), "235 anybody")
		want := Auth{Mechanism: "PLAIN", Authzid: "a", User: "eve", Secret: "x", Responses: []string{b64("a\x00eve\x00x")}, Accepted: true}
		got := s.Connections()[0].Auths
		if len(got) != 3 || got[0].User != "eve" || got[0].Accepted || got[2].User != want.User || got[2].Authzid != "a" || !got[2].Accepted || !slices.Equal(got[2].Responses, want.Responses) {
			t.Errorf("heard %+v", got)
		}
	})
}

func TestHelloOffersWhatTheScriptHas(t *testing.T) {
	for script, want := range map[string][]string{
		"offer nothing":                                       {"250 mx.test"},
		"name a.test\noffer SIZE 100 / STARTTLS":              {"250-a.test", "250-SIZE 100", "250 STARTTLS"},
		"offer in-tls PIPELINING\noffer #1 LIMITS RCPTMAX=20": {"250-mx.test", "250 LIMITS RCPTMAX=20"},
		"ehlo 250-x / 250 y\noffer CHUNKING":                  {"250-x", "250 y"},
	} {
		inBubble(t, script, func(t *testing.T, s *Server, c *client) {
			c.expect("220")
			c.say("EHLO client.test")
			if got := c.reply(); !slices.Equal(got, want) {
				t.Errorf("%q: %q", script, got)
			}
		})
	}
}
