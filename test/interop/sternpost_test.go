//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Exit statuses of sysexits.h.
const (
	exitDone   = 0
	exitFailed = 69
	exitAgain  = 75
)

// agent is the program under test with its configuration.
type agent struct {
	w      *world
	config string
}

// agent configures the program under test to ask the DNS server at the address. More is appended to the configuration.
func (w *world) agent(dns, more string) agent {
	w.t.Helper()
	return agent{w, w.write("sternpost.toml", []byte(`
[resolver]
servers = ["`+dns+`"]

[delivery]
hostname = "sternpost.test"
port = `+mailPort+`
allow_addresses = ["127.0.0.0/8", "2001:db8::/32"]
`+more))}
}

// report is what `sternpost deliver --json` prints, as far as the tests look at it.
type report struct {
	exit       int
	Recipients []outcome `json:"recipients"`
	Attempts   []struct {
		Rule       string      `json:"rule"`
		Candidates []candidate `json:"candidates"`
	} `json:"attempts"`
}

type outcome struct {
	Recipient   string `json:"recipient"`
	Disposition string `json:"disposition"`
	Stage       string `json:"stage"`
	Code        *int   `json:"code"`
	Status      string `json:"status"`
	Host        string `json:"host"`
	Address     string `json:"address"`
	Reason      string `json:"reason"`
}

type candidate struct {
	Host    string `json:"host"`
	Address string `json:"address"`
	Verdict string `json:"verdict"`
	Stages  []struct {
		Stage string   `json:"stage"`
		Reply []string `json:"reply"`
		Error string   `json:"error"`
	} `json:"stages"`
	TLS *struct {
		Version  string `json:"version"`
		Verified bool   `json:"verified"`
	} `json:"tls"`
}

// deliver runs `sternpost deliver` with the message in a file.
func (a agent) deliver(t *testing.T, m message, to ...string) report {
	t.Helper()
	return a.pretend(t, "", m, to...)
}

// pretend is deliver with a mask, as --pretend takes it.
func (a agent) pretend(t *testing.T, mask string, m message, to ...string) report {
	t.Helper()
	args := []string{"deliver", "--config", a.config, "--json", "-f", "sender@sternpost.test"}
	if mask != "" {
		args = append(args, "--pretend", mask)
	}
	args = append(append(args, to...), a.w.write("message.eml", m.content))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Getenv(binaryVariable), args...)
	command.Env = append(os.Environ(), "SSL_CERT_FILE="+a.w.certificate)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err := command.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := report{exit: command.ProcessState.ExitCode()}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("sternpost %s: exit status %d, %v\n%s\n%s", strings.Join(args, " "), r.exit, err, out.Bytes(), said.Bytes())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sternpost %s: exit status %d\n%s\n%s", strings.Join(args, " "), r.exit, out.Bytes(), said.Bytes())
		}
	})
	return r
}

// delivered checks that every recipient got the mail, all by this host. Otherwise the test ends: there is nothing to look for.
func (r report) delivered(t *testing.T, host string) {
	t.Helper()
	for _, o := range r.Recipients {
		if o.Disposition != "delivered" || o.Host != host {
			t.Fatalf("%s: %s by %s (%s), want delivered by %s", o.Recipient, o.Disposition, o.Host, o.Reason, host)
		}
	}
	if r.exit != exitDone || len(r.Recipients) == 0 {
		t.Fatalf("exit status %d, want %d, with %d recipients", r.exit, exitDone, len(r.Recipients))
	}
}

// refused checks the verdict on a recipient: its disposition, and the code and status of the reply that decided.
func (r report) refused(t *testing.T, want outcome, code int) {
	t.Helper()
	i := slices.IndexFunc(r.Recipients, func(o outcome) bool { return o.Recipient == want.Recipient })
	if i < 0 {
		t.Fatalf("%s is not in the report", want.Recipient)
	}
	got := r.Recipients[i]
	if got.Disposition != want.Disposition || got.Stage != want.Stage || got.Status != want.Status {
		t.Errorf("%s: %s at %s with status %q (%s), want %s at %s with %q", got.Recipient,
			got.Disposition, got.Stage, got.Status, got.Reason, want.Disposition, want.Stage, want.Status)
	}
	if code == 0 && got.Code != nil || code != 0 && (got.Code == nil || *got.Code != code) {
		t.Errorf("%s: another code than %d", got.Recipient, code)
	}
}

// exits checks the exit status.
func (r report) exits(t *testing.T, want int) {
	t.Helper()
	if r.exit != want {
		t.Errorf("exit status %d, want %d", r.exit, want)
	}
}

// tried is the candidate with the address, which must have been one.
func (r report) tried(t *testing.T, address string) candidate {
	t.Helper()
	for _, a := range r.Attempts {
		for _, c := range a.Candidates {
			if c.Address == address {
				return c
			}
		}
	}
	t.Fatalf("%s was no candidate", address)
	return candidate{}
}
