//go:build interop

package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

// outsider is an address of this machine that is in no network that may submit by default: what connects to it comes from it.
const outsider = "192.0.2.25"

// scan runs the scripts of nmap that are about SMTP, and returns what they say.
func (w *world) scan(t *testing.T, more ...string) string {
	t.Helper()
	// Its library for linear algebra is found through an alternative, which an unpacked package has not set up.
	blas, _ := filepath.Glob("/usr/lib/*/blas")
	lapack, _ := filepath.Glob("/usr/lib/*/lapack")
	args := []string{"/usr/bin/env", "LD_LIBRARY_PATH=" + strings.Join(append(blas, lapack...), ":"), "/usr/bin/nmap", "-n", "-Pn", "-sT", "-p", "25,2526",
		"--script", "smtp-open-relay,smtp-commands,smtp-enum-users,smtp-strangeport,smtp-ntlm-info,smtp-vuln-cve2010-4344,smtp-vuln-cve2011-1720,smtp-vuln-cve2011-1764",
		"--script-args", "smtp-open-relay.to=you,smtp-open-relay.from=relay,smtp-open-relay.domain=sink.test,smtp-enum-users.methods={VRFY,EXPN,RCPT}"}
	r := w.runs(t, strings.NewReplacer(), "", append(append(args, more...), outsider)...)
	if r.exit != 0 {
		t.Fatalf("nmap: exit status %d\n%s", r.exit, r.said)
	}
	t.Log(r.said)
	return r.said
}

func TestNmapFindsNoOpenRelay(t *testing.T) {
	w := newWorld(t)
	for name, config := range map[string]string{
		"turned away":     "[submission]\n",
		"let in to login": w.withUser(),
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			s := w.serveBy(documentedQueue, together(config, `[submission]
listen = ["`+outsider+`:25", "`+outsider+`:2526"]
`))
			defer s.close()
			said := w.scan(t, "-sV", "--version-intensity", "0")
			for _, never := range []string{"is an open relay", "State: VULNERABLE", "|   root"} {
				if strings.Contains(said, never) {
					t.Errorf("nmap says %q", never)
				}
			}
			if !strings.Contains(said, "25/tcp   open") {
				t.Error("nmap has not found the listener")
			}
			s.drained(t)
			if n := len(s.sink.Messages()); n > 0 {
				t.Errorf("%d messages were relayed", n)
			}
		})
	}
}

// The scan can fail: of a relay that is open it says so.
func TestNmapFindsAnOpenRelay(t *testing.T) {
	w := newWorld(t)
	w.serve(`listen = ["`+outsider+`:25"]
networks = ["0.0.0.0/0"]`, "")
	if said := w.scan(t); !strings.Contains(said, "is an open relay") {
		t.Error("nmap does not see that the relay is open")
	}
}
