package mail

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// whole is an attempt with a value in every field.
func whole() Attempt {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000000, time.UTC)
	ip := netip.MustParseAddr("2001:db8::1")
	reply := Reply{Code: 550, Lines: []string{"550-5.1.1 no", "550 5.1.1 \u009b user"}}
	return Attempt{
		ID: "1/b.example/2", Message: "1", Number: 2, Domain: "b.example", Started: at, Ended: at.Add(time.Minute), Rule: RuleMX,
		Budget: 15 * time.Minute, Used: 1235 * time.Microsecond, Pretended: []string{"mx=down"},
		DNS: []Lookup{{Name: "b.example", Type: "MX", RCode: RCodeSuccess, TTL: time.Hour, AD: true, Stale: true, Answers: []string{"10 mx.b.example"}, Error: "old"}},
		Candidates: []Candidate{{
			Host: "mx.b.example", Preference: 10, Address: ip, Port: 25, Verdict: VerdictDeferred, Reason: "first", Reused: true, ClosedBy: "us",
			Stages: []StageRecord{{Stage: StageMail, At: at, Took: 777 * time.Microsecond, Reply: reply, Error: "x"}},
			TLS:    &TLS{Version: "TLS 1.3", Cipher: "AES", Verified: true, Error: "no", Names: []string{"mx"}, Issuer: "CA", Expires: at},
		}},
		Outcomes: []Outcome{{
			Recipient: Address{"a b", "b.example"}, Disposition: Failed, InDoubt: true, Scope: ScopeRecipient, Stage: StageRcpt, Reply: reply,
			Status: Status{5, 1, 1}, Host: "mx.b.example", IP: ip, Reason: "no",
		}},
	}
}

func TestAttemptIsReadBack(t *testing.T) {
	text, err := json.Marshal(whole())
	if err != nil {
		t.Fatal(err)
	}
	var got Attempt
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, whole()) {
		t.Errorf("got  %+v\nwant %+v", got, whole())
	}
}

// An agent of another version may write more, and less; what is no attempt is an error, never a panic.
func TestAttemptOfStrangersIsRead(t *testing.T) {
	for text, fits := range map[string]bool{
		`{"number":1,"tomorrow":true,"outcomes":[{"recipient":"","reply":["x"]}]}`: true, `{"dns":[{"ttl":"x"}]}`: false, `[]`: false,
		`{"candidates":[{"address":"x"}]}`: false, `{"candidates":[{"stages":[{"ms":"x"}]}]}`: false, `{"outcomes":[{"status":"x"}]}`: false,
	} {
		if err := json.Unmarshal([]byte(text), new(Attempt)); (err == nil) != fits {
			t.Errorf("%s: %v", text, err)
		}
	}
}
