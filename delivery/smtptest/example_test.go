package smtptest_test

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"time"

	"sternpost/delivery/smtptest"
)

// A server that refuses one recipient. In a test, New spares the listener and the closing.
func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server, err := smtptest.Start("rcpt <bad@.*> 550 5.1.1 no such user", listener)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	for _, to := range []string{"bad@example.test", "you@example.test"} {
		err := smtp.SendMail(server.Addr(), nil, "app@client.test", []string{to}, []byte("hello\r\n"))
		fmt.Println(to, err)
	}
	for _, m := range server.Messages() {
		fmt.Printf("%s to %v: %q\n", m.From(), m.To(), m.Content)
	}
	// Output:
	// bad@example.test 550 "5.1.1 no such user"
	// you@example.test <nil>
	// app@client.test to [you@example.test]: "hello\r\n"
}

// Greylisting depends on who has asked before, which no script can know.
func ExampleWithDecision() {
	seen := map[string]bool{} // one connection at a time here; else it needs a lock
	greylist := func(o smtptest.Occasion) string {
		if o.Verb != "rcpt" || seen[o.From+" "+o.Address] {
			return ""
		}
		seen[o.From+" "+o.Address] = true
		return "450 4.7.1 greylisted, come back later"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server, err := smtptest.Start("", listener, smtptest.WithDecision(greylist))
	if err != nil {
		panic(err)
	}
	defer server.Close()
	for range 2 {
		fmt.Println(smtp.SendMail(server.Addr(), nil, "app@client.test", []string{"you@example.test"}, []byte("hello\r\n")))
	}
	// Output:
	// 450 "4.7.1 greylisted, come back later"
	// <nil>
}

// An internet in memory: nobody listens at one address, and another does not answer.
func ExampleNetwork() {
	var n smtptest.Network
	n.Blackhole("192.0.2.2:25")
	for _, addr := range []string{"192.0.2.1:25", "192.0.2.2:25"} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_, err := n.Dial(ctx, "tcp", addr)
		fmt.Println(err)
		cancel()
	}
	// Output:
	// dial tcp 192.0.2.1:25: connect: connection refused
	// dial tcp 192.0.2.2:25: context deadline exceeded
}
