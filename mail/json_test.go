package mail

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// keysOf is the JSON of v, key by key.
func keysOf(t *testing.T, v any) map[string]json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestJSONKeys(t *testing.T) {
	for _, test := range []struct {
		name  string
		value any
		keys  string
	}{
		{"Outcome", Outcome{}, "recipient disposition in_doubt scope stage code status reply host address reason"},
		{
			"Attempt", Attempt{},
			"id message number domain started ended rule budget_ms used_ms pretended dns candidates outcomes",
		},
		{"Candidate", Candidate{}, "host preference address port verdict reason stages tls reused closed_by"},
		{"Lookup", Lookup{}, "name type rcode ttl ad stale answers error"},
		{"StageRecord", StageRecord{}, "stage at ms reply error"},
		{"TLS", TLS{}, "version cipher verified error names issuer expires"},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys := keysOf(t, test.value)
			got, want := slices.Sorted(maps.Keys(keys)), slices.Sorted(slices.Values(strings.Fields(test.keys)))
			if !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			mayBeNull := []string{"code", "tls"}
			for key, text := range keys {
				if string(text) == "null" && !slices.Contains(mayBeNull, key) {
					t.Errorf("%s is null", key)
				}
			}
		})
	}
}

func TestJSONValues(t *testing.T) {
	zone := time.FixedZone("", 3600)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000000, zone)
	reply := Reply{Code: 550, Lines: []string{"550-5.1.1 no", "550 5.1.1 user"}}
	expect := func(v any, want map[string]string) {
		t.Helper()
		keys := keysOf(t, v)
		for key, text := range want {
			if string(keys[key]) != text {
				t.Errorf("%s is %s, want %s", key, keys[key], text)
			}
		}
	}
	expect(Outcome{}, map[string]string{"code": "null", "reply": "[]", "status": `""`, "address": `""`, "recipient": `""`, "in_doubt": "false", "scope": `""`})
	expect(
		Outcome{
			Recipient: Address{"a b", "example.org"}, Disposition: Failed, Scope: ScopeRecipient, Stage: StageRcpt,
			Reply: reply, Status: Status{5, 1, 1}, Host: "mx1.example.org", IP: netip.MustParseAddr("2001:db8::1"),
		},
		map[string]string{
			"recipient": `"\"a b\"@example.org"`, "disposition": `"failed"`, "scope": `"recipient"`, "stage": `"rcpt"`, "code": "550",
			"status": `"5.1.1"`, "reply": `["550-5.1.1 no","550 5.1.1 user"]`, "host": `"mx1.example.org"`, "address": `"2001:db8::1"`,
		},
	)
	expect(Attempt{}, map[string]string{"pretended": "[]", "dns": "[]", "candidates": "[]", "outcomes": "[]"})
	expect(
		Attempt{Started: at, Ended: at, Budget: 15 * time.Minute, Used: 1234567 * time.Nanosecond},
		map[string]string{"started": `"2026-01-02T02:04:05.006Z"`, "ended": `"2026-01-02T02:04:05.006Z"`, "budget_ms": "900000", "used_ms": "1.235"},
	)
	expect(Candidate{}, map[string]string{"stages": "[]", "tls": "null", "address": `""`})
	expect(&Candidate{TLS: &TLS{Expires: at}}, map[string]string{
		"stages": "[]",
		"tls":    `{"version":"","cipher":"","verified":false,"error":"","names":[],"issuer":"","expires":"2026-01-02T02:04:05.006Z"}`,
	})
	expect(Lookup{TTL: 299*time.Second + 999*time.Millisecond, RCode: RCodeSuccess}, map[string]string{"ttl": "299", "answers": "[]", "rcode": `"NOERROR"`})
	expect(
		StageRecord{Stage: StageDot, At: at, Took: 1500 * time.Microsecond, Reply: reply},
		map[string]string{"stage": `"dot"`, "at": `"2026-01-02T02:04:05.006Z"`, "ms": "1.5", "reply": `["550-5.1.1 no","550 5.1.1 user"]`},
	)
	expect(StageRecord{}, map[string]string{"reply": "[]", "ms": "0"})
}

// What a stranger said reads back as encoding/json would write it.
func TestJSONTexts(t *testing.T) {
	for _, text := range []string{"", "plain", `"\`, "<b>&", "caf\u00e9", "caf\xe9", "a\x00\r\n\x1b[1m\u2028", "\x7f"} {
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := keysOf(t, StageRecord{Error: text, Reply: Reply{Lines: []string{text, text}}})
		if string(got["error"]) != string(want) || string(got["reply"]) != "["+string(want)+","+string(want)+"]" {
			t.Errorf("%q is written as %s and %s", text, got["error"], got["reply"])
		}
	}
}

func TestRCodeCertain(t *testing.T) {
	all := []RCode{
		RCodeSuccess, RCodeNoData, RCodeNXDomain, RCodeServFail, RCodeRefused, RCodeTimeout, RCodeBogus, RCodeLoop, RCodeInvalid,
	}
	for i, r := range all {
		if r.Certain() != (i < 3) {
			t.Errorf("%s: %v", r, r.Certain())
		}
	}
}
