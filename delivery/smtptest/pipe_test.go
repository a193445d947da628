package smtptest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipeCarriesBothWays(t *testing.T) {
	client, server := Pipe()
	var _, _ net.Conn = client, server
	for _, way := range [][2]*Conn{{client, server}, {server, client}} {
		if _, err := way[0].Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 16)
		if n, err := way[1].Read(p); err != nil || string(p[:n]) != "hello" {
			t.Fatalf("read %q, %v", p[:n], err)
		}
	}
	if _, ok := server.RemoteAddr().(*net.TCPAddr); !ok {
		t.Errorf("RemoteAddr is %T", server.RemoteAddr())
	}
}

func TestPipeEndIsReadAfterTheRest(t *testing.T) {
	for name, c := range map[string]struct {
		end         func(*Conn) error
		read, write error
	}{
		"close":       {(*Conn).Close, io.EOF, syscall.EPIPE},
		"reset":       {(*Conn).Reset, syscall.ECONNRESET, syscall.ECONNRESET},
		"close write": {(*Conn).CloseWrite, io.EOF, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := Pipe()
			io.WriteString(server, "221 bye")
			if err := c.end(server); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 16)
			if n, err := client.Read(p); err != nil || string(p[:n]) != "221 bye" {
				t.Fatalf("read %q, %v", p[:n], err)
			}
			if _, err := client.Read(p); !errors.Is(err, c.read) {
				t.Errorf("read: %v, want %v", err, c.read)
			}
			if _, err := client.Write(p); !errors.Is(err, c.write) {
				t.Errorf("write: %v, want %v", err, c.write)
			}
			if _, err := server.Write(p); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write at the ended side: %v", err)
			}
		})
	}
}

func TestPipeFullBufferBlocksTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := Pipe()
		sent := bytes.Repeat([]byte("0123456789"), 20000)
		done := make(chan error)
		go func() {
			_, err := client.Write(sent)
			client.Close()
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("write of %d octets did not block: %v", len(sent), err)
		default:
		}
		read := make(chan []byte)
		go func() {
			got, _ := io.ReadAll(server)
			read <- got
		}()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := <-read; !bytes.Equal(got, sent) {
			t.Errorf("read %d octets, want the %d sent", len(got), len(sent))
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	full := make([]byte, 2*pipeBuffer)
	for name, call := range map[string]func(c *Conn) (int, error){
		"read":  func(c *Conn) (int, error) { return c.Read(full) },
		"write": func(c *Conn) (int, error) { return c.Write(full) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _ := Pipe()
				began := time.Now()
				client.SetDeadline(began.Add(time.Hour))
				time.AfterFunc(time.Minute, func() { client.SetDeadline(began.Add(2 * time.Minute)) })
				_, err := call(client)
				var timeout net.Error
				if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("got %v, want a timeout", err)
				}
				if took := time.Since(began); took != 2*time.Minute {
					t.Errorf("ended after %v", took)
				}
				client.SetDeadline(time.Time{})
				time.AfterFunc(time.Minute, func() { client.Close() })
				if _, err := call(client); !errors.Is(err, net.ErrClosed) {
					t.Errorf("after the deadline was taken away: %v", err)
				}
				if err := client.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
					t.Errorf("deadline of a closed connection: %v", err)
				}
			})
		})
	}
}
