package mail

import "testing"

func TestEscapeJSON(t *testing.T) {
	for given, want := range map[string]string{
		"{\"a\": \"grün\"}\n": "{\"a\": \"grün\"}\n", "\x7f\u202e\u009b": `\u007f\u202e\u009b`, "\U000e0001": `\udb40\udc01`, "": "",
	} {
		if got := string(EscapeJSON([]byte(given))); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}
