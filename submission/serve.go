package submission

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"sternpost/mail"
)

// Serve listens on all addresses of the configuration until ctx ends or a listener fails; the error says which. Then nobody is let in any more, clients that wait are told 421,
// messages between DATA and the reply have Config.Drain to be finished, and when Serve returns nothing of it is running.
func (s *Server) Serve(ctx context.Context) error {
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	submissions, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	group, serving := errgroup.WithContext(ctx)
	d := s.door(submissions, serving)
	server := d.server()
	for _, l := range listeners {
		group.Go(func() error {
			err := server.Serve(gate{l, d, l.kind, new(time.Time)})
			if serving.Err() != nil {
				return nil // it was closed
			}
			return fmt.Errorf("submission: listener %s: %w", l.Addr(), err)
		})
	}
	group.Go(func() error {
		<-serving.Done()
		closeAll(listeners)
		return nil
	})
	err = group.Wait()
	d.dismiss()
	d.drain(server, abandon)
	return err
}

// listener is one with what is spoken on it.
type listener struct {
	net.Listener
	kind kind
}

// listen opens all listeners or none.
func (s *Server) listen() ([]listener, error) {
	var listeners []listener
	for _, at := range s.config.Endpoints(s.deps.Directory) {
		l, err := s.deps.Listen(at.Network, at.Address)
		if err != nil {
			closeAll(listeners)
			return nil, fmt.Errorf("submission.%s: %w", at.key, err)
		}
		s.deps.Log.Info("listening for mail", zap.Stringer("address", l.Addr()), zap.Bool("tls", at.kind == kindTLS))
		listeners = append(listeners, listener{l, at.kind})
	}
	return listeners, nil
}

func closeAll(listeners []listener) {
	for _, l := range listeners {
		_ = l.Close() // its Accept says what there is to say
	}
}

// server is go-smtp's, without what is guarded elsewhere: the limits on lines and the write timeout belong to wire.
func (d *door) server() *smtp.Server {
	server := smtp.NewServer(d)
	server.Domain = d.deps.Hostname
	server.MaxMessageBytes = d.config.MaxSize
	server.MaxRecipients = d.config.MaxRecipients
	server.MaxLineLength = 0
	server.ReadTimeout = d.config.CommandTimeout
	server.EnableSMTPUTF8 = true
	server.EnableDSN = true
	server.ErrorLog = serverLog{d.deps.Log, new(sparing)}
	return server
}

// drain waits for the connections: with patience, then without. All listeners have ended when it is called, so that nothing is added to what go-smtp
// waits for.
func (d *door) drain(server *smtp.Server, abandon context.CancelFunc) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = server.Shutdown(context.Background()) // without a deadline it returns errors of listeners only, and those are closed
	}()
	patience := time.NewTimer(d.config.Drain)
	defer patience.Stop()
	select {
	case <-gone:
		return
	case <-patience.C:
	}
	d.deps.Log.Warn("connections are cut: the time for their messages is over")
	abandon()
	d.cut()
	<-gone
}

// serverLog takes what go-smtp logs: connections that failed, and panics.
type serverLog struct {
	log    *zap.Logger
	failed *sparing
}

func (l serverLog) Printf(format string, v ...any) {
	if strings.HasPrefix(format, "accept error") {
		return // the gate has told it
	}
	text := zap.String("message", mail.Escape(fmt.Sprintf(format, v...)))
	if strings.HasPrefix(format, "panic") {
		l.log.Error("SMTP server", text)
		return
	}
	if unsaid, may := l.failed.speak(); may {
		l.log.Info("SMTP server", text, zap.Int("unsaid", unsaid))
	}
}

func (l serverLog) Println(v ...any) { l.Printf("%s", errors.New(fmt.Sprint(v...))) }
