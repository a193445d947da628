package main

import (
	"strings"
	"testing"
)

// aLetter is a report with a part for people.
func aLetter(head, encoding, text string) string {
	return "From: Mail <mailer@example.test>\r\nTo: <app@shop.test>\r\n" + head + "MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + text + "\r\n--b--\r\n"
}

func TestLetterText(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"plain", aLetter("Subject: no\r\n", "7bit", "It failed.\r\nSorry."), "From: Mail <mailer@example.test>\nTo: <app@shop.test>\nSubject: no\n\nIt failed.\nSorry.\n"},
		{"quoted-printable", aLetter("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n", "quoted-printable", "nach K=C3=B6ln=\r\n!"), "From: Mail <mailer@example.test>\nTo: <app@shop.test>\nSubject: Grüße\n\nnach Köln!\n"},
	} {
		if got, err := letterText([]byte(c.content)); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	for _, content := range []string{
		"", "no header", "Subject: =?klingon?q?x?=\r\n\r\n", "Subject: no form\r\n\r\n", "Content-Type: multipart/report\r\n\r\n--\r\n", "Content-Type: multipart/report; boundary=b\r\n\r\nno part",
	} {
		if got, err := letterText([]byte(content)); err == nil {
			t.Errorf("%q is read as %q", content, got)
		}
	}
}

// Whatever a stranger's report is, it is read as a letter with a head, or not.
func FuzzLetterText(f *testing.F) {
	f.Add(aLetter("Subject: no\r\n", "7bit", "It failed."))
	f.Add(aLetter("Subject: =?utf-8?q?=00?=\r\n", "quoted-printable", "=0A--b--"))
	f.Fuzz(func(t *testing.T, content string) {
		got, err := letterText([]byte(content))
		if err == nil && (!strings.HasPrefix(got, "From: ") || !strings.Contains(got, "\nSubject: ") || !strings.HasSuffix(got, "\n")) {
			t.Errorf("%q", got)
		}
	})
}
