package console

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Callers who stall keep nobody out; those who are being answered keep their place.
func TestGate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil { // whoever is wrongly sent away would be waited for
		t.Fatal(err)
	}
	g := newGate(l, 2)
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	accept := func() *visit {
		conn, err := g.Accept()
		if err != nil {
			t.Error(err)
			return &visit{gate: g}
		}
		return conn.(*visit)
	}
	busy := dial()
	first := accept()
	first.answering(true)
	stalls := dial()
	accept()
	dial()
	third := accept() // the second has left
	if _, err := stalls.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("who stalls reads %v", err)
	}
	third.answering(true)
	late := dial()
	last := make(chan *visit)
	go func() { last <- accept() }()
	if text, err := bufio.NewReader(late).ReadString('\n'); err != nil || !strings.Contains(text, "503") {
		t.Errorf("who finds no place reads %q, %v", text, err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := busy.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("whose connection was closed reads %v", err)
	}
	dial()
	if <-last == nil || len(g.open) != 2 {
		t.Errorf("%d places are taken", len(g.open))
	}
}

// A crowd that sends nothing does not keep an honest caller waiting.
func TestCrowdThatStalls(t *testing.T) {
	s, _ := startWith(t, Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Token: token}, Deps{Queue: &fakeQueue{}})
	for range maxCallers + 50 {
		conn, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET / HT")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), headerTimeout/2) // the crowd is sent away by then at the earliest
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.Addrs()[0].String()+pathReady, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if response, text := ask(t, &http.Client{Transport: transport}, request); response.StatusCode != 200 {
		t.Errorf("got %d %s", response.StatusCode, text)
	}
}

// Of those who do nothing the one leaves who has done nothing for longest, and who is being answered is not one of them.
func TestLongestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(nil, 3)
		var visits []*visit
		for range 3 {
			here, there := net.Pipe()
			defer there.Close()
			v := g.admit(here)
			defer v.Close()
			visits = append(visits, v)
			<-time.After(time.Second)
		}
		if g.longestIdle() != visits[0] {
			t.Error("not the first who came")
		}
		visits[0].answering(true)
		if g.longestIdle() != visits[1] {
			t.Error("who is being answered counts")
		}
		visits[0].answering(false) // just now
		if g.longestIdle() != visits[1] {
			t.Error("who was answered just now has not waited for longest")
		}
		answers := seated(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if g.longestIdle() != visits[2] {
				t.Error("within an answer somebody else has done nothing for longest")
			}
		}))
		r := httptest.NewRequest("GET", "/", nil)
		answers.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), visitKey{}, visits[1])))
		if visits[1].busy {
			t.Error("after its answer it still counts as busy")
		}
	})
}
