// Discard is go-smtp's server with a backend that throws everything away: what a door of ours is compared with. It promises nothing. ADDRESS is its argument.
package main

import (
	"io"
	"log"
	"os"
	"time"

	"github.com/emersion/go-smtp"
)

type backend struct{}

func (backend) NewSession(*smtp.Conn) (smtp.Session, error) { return backend{}, nil }
func (backend) Reset()                                      {}
func (backend) Logout() error                               { return nil }
func (backend) Mail(string, *smtp.MailOptions) error        { return nil }
func (backend) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (backend) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func main() {
	server := smtp.NewServer(backend{})
	server.Addr = os.Args[1]
	server.Domain = "discard.test"
	server.MaxMessageBytes = 100 << 20
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	log.Fatal(server.ListenAndServe())
}
