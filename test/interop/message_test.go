//go:build interop

package interop

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// message is content in its wire form, with CRLF at the end of every line. Its first header field is a marker: what a
// receiver puts before that is its own.
type message struct {
	name    string
	content []byte
}

// marker is the first header field of every message.
const marker = "X-Sternpost-Interop: "

// written is a message with the header fields that servers add where they are missing.
func written(name, fields, body string) message {
	head := marker + name + "\r\n" +
		"From: Sender <sender@sternpost.test>\r\n" +
		"To: undisclosed-recipients:;\r\n" +
		"Subject: " + name + "\r\n" +
		"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n" +
		"Message-ID: <" + name + "@sternpost.test>\r\n" +
		"MIME-Version: 1.0\r\n"
	return message{name, []byte(head + fields + "\r\n" + body)}
}

// everywhere are the messages that every receiver has to keep as they are.
func everywhere() []message {
	return []message{eightBit(), dots(), longLines("lines998", 998), attachment()}
}

// eightBit has UTF-8, every octet from 0x80 to 0xff, tabs, blanks at the ends of lines, and empty lines at the end.
func eightBit() message {
	var body bytes.Buffer
	body.WriteString("Grüße aus Köln, 日本語, здравствуй, 🚀\r\n\r\n\tan indent  \r\n   \r\n")
	for octet := 0x80; octet <= 0xff; octet++ {
		body.WriteByte(byte(octet))
		if octet%16 == 15 {
			body.WriteString("\r\n")
		}
	}
	body.WriteString("From here on: From the start of a line\r\nFrom sender@sternpost.test\r\n\r\n\r\n")
	return written("eightbit", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", body.String())
}

// dots begins with a line that is one dot and ends with one.
func dots() message {
	lines := []string{
		".", "..", ".x", "...", "x.", ". ", " .", "", ".", "", "..x", ".\t", "QUIT", ".QUIT", "RSET", strings.Repeat(".", 998), ".",
	}
	return written("dots", "Content-Type: text/plain\r\n", strings.Join(lines, "\r\n")+"\r\n")
}

// longLines has lines of so many octets, without their CRLF; one begins with a dot, one is dots, one has 8-bit text.
func longLines(name string, octets int) message {
	lines := []string{
		strings.Repeat("x", octets),
		"." + strings.Repeat("y", octets-1),
		strings.Repeat("é", octets/2),
		strings.Repeat(".", octets),
		strings.Repeat("word ", octets/5) + strings.Repeat("z", octets%5),
	}
	return written(name, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
		strings.Join(lines, "\r\n")+"\r\n")
}

// attachment has 10 MB that do not compress, in base64.
func attachment() message {
	octets := make([]byte, 10<<20)
	rand.NewChaCha8([32]byte{1}).Read(octets)
	encoded := base64.StdEncoding.EncodeToString(octets)
	var body strings.Builder
	body.WriteString("--part\r\nContent-Type: text/plain\r\n\r\nSee there.\r\n--part\r\n" +
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=ten.bin\r\n\r\n")
	for len(encoded) > 76 {
		body.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	fmt.Fprintf(&body, "%s\r\n--part--\r\n", encoded)
	return written("attachment", "Content-Type: multipart/mixed; boundary=part\r\n", body.String())
}

// note is a small message with nothing special in it.
func note(name string) message {
	return written(name, "Content-Type: text/plain\r\n", "Hello.\r\n")
}
