package main

import (
	"bytes"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sternpost/delivery/smtptest"
)

// closedOutput is a standard output that nobody reads.
type closedOutput struct{}

func (closedOutput) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestTheIDIsPrinted(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server, err := smtptest.Start("dot #1-2 250 2.0.0 queued as 1m8a7h0m00000\nconnection #3\ndot 250 2.0.0 taken\x07", listener)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"submit", "--to", "you@x.test", "--json"}, "{\n  \"id\": \"1m8a7h0m00000\"\n}\n"},
		{[]string{"submit", "--to", "you@x.test"}, "1m8a7h0m00000\n"},
		{[]string{"submit", "--to", "you@x.test"}, "2.0.0 taken\\a\n"},
	} {
		var out, said bytes.Buffer
		code := run(c.args, &shell{
			ctx: t.Context(), stdin: strings.NewReader("hello\n"), stdout: &out, stderr: &said, environ: []string{"STERNPOST_SUBMISSION_SOCKET=" + socket},
		})
		if code != 0 || out.String() != c.want {
			t.Errorf("%q: exit status %d, %q, %s", c.args, code, out.String(), said.Bytes())
		}
	}
	var said bytes.Buffer
	code := run([]string{"submit", "--to", "you@x.test"}, &shell{
		ctx: t.Context(), stdin: strings.NewReader("hello\n"), stdout: closedOutput{}, stderr: &said, environ: []string{"STERNPOST_SUBMISSION_SOCKET=" + socket},
	})
	if code != 0 || !strings.Contains(said.String(), "the message was submitted, but") {
		t.Errorf("without an output: exit status %d, %s", code, said.Bytes())
	}
	var printed any
	text, _ := json.Marshal(submitted{})
	if err := json.Unmarshal(text, &printed); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	places(printed, "", found)
	compareKeys(t, found, map[string]string{"": "submit"})
}
