// Send is Go's net/smtp as applications use it: HOST PORT clear|starttls|tls MECHANISM USER PASSWORD FROM TO SUBJECT
package main

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/smtp"
	"os"
)

func main() {
	if err := send(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func send(args []string) error {
	host, encryption, mechanism, user, password, from, to, subject := args[0], args[2], args[3], args[4], args[5], args[6], args[7], args[8]
	address := net.JoinHostPort(host, args[1])
	content := "From: " + from + "\r\nTo: " + to + "\r\nSubject: " + subject +
		"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße aus Köln.\r\n.\r\n..\r\nVon hier an.\r\n"
	var auth smtp.Auth
	if mechanism != "" {
		auth = smtp.PlainAuth("", user, password, host)
	}
	if encryption != "tls" {
		return smtp.SendMail(address, auth, from, []string{to}, []byte(content)) // it uses STARTTLS where it is offered
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: host})
	if err != nil {
		return err
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	defer client.Close()
	if auth != nil {
		if err := client.Auth(auth); err != nil {
			return err
		}
	}
	if err := errors.Join(client.Mail(from), client.Rcpt(to)); err != nil {
		return err
	}
	out, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := out.Write([]byte(content)); err != nil {
		return err
	}
	return errors.Join(out.Close(), client.Quit())
}
