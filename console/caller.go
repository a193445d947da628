package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
)

// Caller is who asks.
type Caller struct {
	// User is the one of console.tokens whose token was sent: he may hand in mail and ask after his own. Empty: who asks administers.
	User string
	// UID is that of the process at the other end of the admin socket; -1: it is not known, or he came over TCP.
	UID int
	// Address is where he came from over TCP; the zero one for the admin socket.
	Address netip.Addr
}

type callerKey struct{}

// CallerOf is who has sent a request that a Console passes on.
func CallerOf(r *http.Request) Caller {
	if c, ok := r.Context().Value(callerKey{}).(Caller); ok {
		return c
	}
	return Caller{UID: -1}
}

// withCaller finds out what the connection itself tells.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	c := Caller{UID: -1}
	switch remote := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		c.Address = remote.AddrPort().Addr().Unmap().WithZone("")
	case *net.UnixAddr:
		c.UID = peerUID(conn)
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// peerUID asks the system who is at the other end (SO_PEERCRED of unix(7)); -1: it does not say.
func peerUID(conn net.Conn) int {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return -1
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return -1
	}
	uid := -1
	_ = control.Control(func(handle uintptr) { // its error is that of a closed connection, which asks nothing any more
		if peer, err := syscall.GetsockoptUcred(int(handle), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(peer.Uid)
		}
	})
	return uid
}

// guarded lets in who has a token (RFC 6750 s2.1). Whether the agent is alive is no secret, nor is how it is asked: that needs none.
func (c *Console) guarded(answers http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, known := c.userOf(r.Header.Get("Authorization"))
		if !known && !c.open(r.URL.Path) {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750 s3
			answerProblem(w, problem{http.StatusUnauthorized, "send a token of the section [console] as Authorization: Bearer"})
			return
		}
		if !c.shares.take(user) {
			w.Header().Set("Retry-After", "10")
			answerProblem(w, problem{http.StatusTooManyRequests, "too many requests of " + user + " are being answered; wait for some of them"})
			return
		}
		defer c.shares.giveBack(user)
		caller := CallerOf(r)
		caller.User = user
		answers.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
	})
}

// open says whether a path needs no token.
func (c *Console) open(path string) bool {
	return path == pathAlive || path == pathReady || path == pathDocument || path == pathMetrics && c.config.MetricsWithoutToken
}

// userOf finds whose token is in the field. All are compared, so that the time tells nothing.
func (c *Console) userOf(authorization string) (user string, known bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	got := sha256.Sum256([]byte(token))
	for _, t := range append([]Token{{Token: c.config.Token}}, c.config.Tokens...) {
		want := sha256.Sum256([]byte(t.Token))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			user, known = t.User, true
		}
	}
	return user, known
}

// administers refuses who may only hand in mail.
func administers(r *http.Request) error {
	if user := CallerOf(r).User; user != "" {
		return problem{http.StatusForbidden, "the token of " + user + " may hand in mail and ask after it, and nothing else"}
	}
	return nil
}
