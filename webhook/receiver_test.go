package webhook

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// asking reads a case from standard input and prints what verify says.
const asking = `
import json, sys
case = json.load(sys.stdin)
print(verify(case["headers"], case["body"].encode(), case["secret"], case["now"]))
`

// The receiver of docs/webhooks.md knows our requests, and nobody else's.
func TestReceiverOfTheDocument(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	text, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```python\n")
	code, _, found := strings.Cut(rest, "```")
	if !found || !strings.Contains(code, "def verify(") {
		t.Fatal("the page has no receiver")
	}
	const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	var keys [][]byte
	for _, text := range []string{other, secret} {
		key, err := parseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	now := time.Unix(1_800_000_000, 0)
	body := `{"type":"failed","data":{"reply":["550 ü"]}}`
	signed := sign(keys, "evt_1", now, []byte(body))
	for name, c := range map[string]struct {
		signature, body, secret string
		now                     time.Time
		want                    string
	}{
		"ours":            {signed, body, secret, now, "True"},
		"the other key":   {signed, body, other, now.Add(time.Minute), "True"},
		"another body":    {signed, body + " ", secret, now, "False"},
		"another key":     {signed, body, "whsec_" + strings.Repeat("A", 32), now, "False"},
		"an old request":  {signed, body, secret, now.Add(time.Hour), "False"},
		"another version": {strings.ReplaceAll(signed, "v1,", "v2,"), body, secret, now, "False"},
	} {
		asked, err := json.Marshal(map[string]any{
			"headers": map[string]string{"webhook-id": "evt_1", "webhook-timestamp": "1800000000", "webhook-signature": c.signature},
			"body":    c.body, "secret": c.secret, "now": c.now.Unix(),
		})
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), python, "-c", code+asking)
		command.Stdin = strings.NewReader(string(asked))
		out, err := command.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %v: %s, want %s", name, err, got, c.want)
		}
	}
}
