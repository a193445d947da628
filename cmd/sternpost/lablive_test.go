package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sternpost/lab"
)

// Ctrl-S at the terminal, or a pipe that nobody reads, must not stop the mail servers.
func TestLabDoesNotWaitForItsReader(t *testing.T) {
	read, write := io.Pipe()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan int, 1)
	var said bytes.Buffer
	go func() {
		defer write.Close()
		ended <- run([]string{"--json", "lab", "dns-trouble", "--port", "0", "--dns", "127.0.0.1:0", "--directory", filepath.Join(t.TempDir(), "lab")},
			&shell{ctx: ctx, stdin: strings.NewReader(""), stdout: write, stderr: &said})
	}()
	lines := bufio.NewReaderSize(read, 1<<16)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err, said.String())
	}
	var started labStarted
	if err := json.Unmarshal(first, &started); err != nil || started.Directory == "" {
		t.Fatalf("the first line does not introduce the lab: %v\n%s", err, first)
	}

	// Nobody reads now.
	sent := make(chan error, 1)
	go func() {
		sent <- smtp.SendMail(fmt.Sprintf("127.0.9.1:%d", started.Port), nil, "app@client.test", []string{"app@client.test"}, []byte("hi\r\n"))
	}()
	select {
	case err := <-sent:
		if err != nil && !strings.Contains(err.Error(), "certificate") { // it was answered so far
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the lab waits for its reader")
	}

	interrupt()
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != exitFailed || !bytes.Contains(rest, []byte(`"event":"connected"`)) || !bytes.Contains(rest, []byte(`"event":"report"`)) {
		t.Errorf("exit status %d\n%s%s", code, rest, said.String())
	}
}

func TestLabSaysWhatItDoesNotShow(t *testing.T) {
	for _, c := range []struct {
		json bool
		want string
	}{
		{false, "(3 lines not shown: this terminal had stopped; events.ndjson has them)\n"},
		{true, `{"event":"missing","lines":3}` + "\n"},
	} {
		var out bytes.Buffer
		live := newLabLive(&shell{stdout: &out, json: c.json}, lab.Scenario{}, labStartCommand{})
		live.screen.most = 10
		for range 3 {
			live.event(lab.Event{Kind: lab.EventConnected, Host: "mx.test", Client: "127.0.0.1:5"})
		}
		live.screen.begin()
		live.screen.close()
		if got := out.String(); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

func TestLabDoesNotFillTheScreenWithOneLine(t *testing.T) {
	for _, e := range []lab.Event{
		{Kind: lab.EventCommand, Line: "EHLO " + strings.Repeat("x", 60_000)},
		{Kind: lab.EventReply, Reply: lab.Reply{"250 " + strings.Repeat("é", 30_000)}},
	} {
		texts := (&labLive{verbose: true}).texts(e)
		if len(texts) != 1 || len(texts[0]) > 600 || !strings.Contains(texts[0], " more") {
			t.Errorf("%.700q", texts)
		}
	}
}

// Hosts with an IPv6 address are introduced with it, and the agent is told that it may go there.
func TestLabOfTwoFamilies(t *testing.T) {
	s, err := loadScenario("testdata/lab/two-families.toml")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	live := newLabLive(&shell{stdout: &out}, s, labStartCommand{})
	if err := live.started(newLabStarted(lab.About{DNS: "127.0.0.1:5300", Port: 2525}, "", s)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"mx.example.test  127.0.1.1:2525   refused\n", "mx.example.test  [::1]:2525       up\n", "STERNPOST_DELIVERY_ALLOW_ADDRESSES=127.0.0.0/8,::1/128\n",
		"[::1]:2525 is mx.example.test\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
