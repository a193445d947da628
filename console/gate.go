package console

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// gate is a listener that lets in so many callers at a time. When all places are taken, whoever has done nothing for longest leaves: he is idle, or sends his request octet by octet. So
// those who stall keep nobody out, however many they are. Where all are being answered, the next is told to come later.
type gate struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[*visit]bool
}

// visit is the connection of one caller.
type visit struct {
	net.Conn
	gate  *gate
	since time.Time // when it was last answered, or came
	busy  bool      // it is being answered
}

func newGate(l net.Listener, most int) *gate {
	return &gate{Listener: l, most: most, open: map[*visit]bool{}}
}

// allBusy is the answer where there is no place.
const allBusy = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 10\r\nConnection: close\r\n\r\n" +
	`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"too many are being answered"}` + "\n"

// Accept waits for a caller who is let in.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := g.admit(conn); v != nil {
			return v, nil
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte(allBusy)) // that he does not read it changes nothing
		_ = conn.Close()
	}
}

// admit gives conn a place; nil: there is none.
func (g *gate) admit(conn net.Conn) *visit {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) >= g.most {
		idle := g.longestIdle()
		if idle == nil {
			return nil
		}
		delete(g.open, idle)
		_ = idle.Conn.Close() // its reader sees it
	}
	v := &visit{Conn: conn, gate: g, since: time.Now()}
	g.open[v] = true
	return v
}

func (g *gate) longestIdle() *visit {
	var found *visit
	for v := range g.open {
		if !v.busy && (found == nil || v.since.Before(found.since)) {
			found = v
		}
	}
	return found
}

// answering notes that v is being answered, or is no more.
func (v *visit) answering(busy bool) {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.busy, v.since = busy, time.Now()
}

// Close gives the place back.
func (v *visit) Close() error {
	v.gate.mu.Lock()
	delete(v.gate.open, v)
	v.gate.mu.Unlock()
	return v.Conn.Close()
}

type visitKey struct{}

// seated keeps the place of whoever is being answered.
func seated(answers http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
			v.answering(true)
			defer v.answering(false)
		}
		answers.ServeHTTP(w, r)
	})
}

// greet finds out what the connection itself tells of a caller.
func greet(ctx context.Context, conn net.Conn) context.Context {
	if v, ok := conn.(*visit); ok {
		ctx, conn = context.WithValue(ctx, visitKey{}, v), v.Conn
	}
	return withCaller(ctx, conn)
}
