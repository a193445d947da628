package submission

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
)

// handshakeTimeout is how long a TLS handshake may take.
const handshakeTimeout = 30 * time.Second

// startTLS answers STARTTLS (RFC 3207). go-smtp does not get to see it: its own way would put TLS above us, and leave what was sent in clear in our buffer.
func (w *wire) startTLS(line []byte) error {
	switch {
	case len(bytes.TrimSpace(line)) > len("STARTTLS"):
		return w.decline("501 5.5.4 STARTTLS has no parameters")
	case w.secured:
		return w.decline("503 5.5.1 TLS is in use already")
	case w.tls == nil:
		return w.decline("502 5.5.1 STARTTLS is not offered here")
	case w.user != "":
		return w.decline("503 5.5.1 STARTTLS comes before AUTH")
	case w.in.Buffered() > 0:
		// Somebody may have put it there who wants it read as a command inside TLS (CVE-2011-0411).
		return w.hangUp("554 5.5.1 commands stand behind STARTTLS")
	}
	w.say("220 2.0.0 TLS may begin")
	if err := w.out.Flush(); err != nil {
		return err
	}
	if err := w.shake(); err != nil {
		return err
	}
	// RFC 3207 s4.2: what the client said in clear is forgotten. go-smtp forgets the transaction at an RSET; the name in EHLO is asked for anew by offer.
	w.greeted, w.extended = false, false
	if w.session != nil {
		w.mute++
		w.rest = append(w.command[:0], "RSET\r\n"...)
	}
	return nil
}

// shake makes the connection a TLS one. When it fails the connection has ended: nothing can be said on it.
func (w *wire) shake() error {
	conn := tls.Server(w.raw, w.tls)
	err := errors.Join(w.raw.SetDeadline(time.Now().Add(handshakeTimeout)), conn.HandshakeContext(w.door.serving))
	if err != nil {
		w.door.deps.Log.Info("no TLS with a client", zap.String("peer", w.peer()), zap.String("error", mail.Escape(err.Error())))
		w.out.Reset(io.Discard)
		return io.EOF
	}
	w.Conn, w.secured = conn, true
	w.in.Reset(clientReader{w})
	return w.SetReadDeadline(time.Now().Add(w.commandTimeout))
}

// offersTLS says whether EHLO names STARTTLS. A certificate of our own making is not pressed on programs on this machine: many of them take up whatever is offered and then fail
// because they cannot verify it, and on loopback there is nothing to protect.
func (w *wire) offersTLS() bool {
	return w.tls != nil && !w.secured && !(w.door.config.CertFile == "" && w.address.IsLoopback())
}
