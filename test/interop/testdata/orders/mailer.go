// Package orders is an application that takes its mail to the exchangers of the recipient's domain itself.
package orders

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"strings"
)

// Mailer sends mail.
type Mailer struct {
	DNS  *net.Resolver
	Port int
}

// Send tries the exchangers in the order of their preference until one takes the message. The error is that of all of them.
func (m Mailer) Send(ctx context.Context, from, to, message string) error {
	exchangers, err := m.DNS.LookupMX(ctx, to[strings.LastIndexByte(to, '@')+1:])
	if err != nil {
		return err
	}
	var refused []error
	for _, mx := range exchangers {
		if err = m.hand(ctx, mx.Host, from, to, message); err == nil {
			return nil
		}
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// hand gives the message to one exchanger.
func (m Mailer) hand(ctx context.Context, host, from, to, message string) error {
	addresses, err := m.DNS.LookupHost(ctx, host)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(addresses[0], fmt.Sprint(m.Port)))
	if err != nil {
		return err
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	defer client.Close()
	if err = errors.Join(client.Mail(from), client.Rcpt(to)); err != nil {
		return err
	}
	content, err := client.Data()
	if err != nil {
		return err
	}
	if _, err = content.Write([]byte(message)); err != nil {
		return err
	}
	return content.Close()
}
