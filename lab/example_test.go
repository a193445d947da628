package lab_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"testing"

	"sternpost/lab"
)

// deliver hands a message to one host. smtp.SendMail would do, if it trusted the certificates of the lab: see World.Authority.
func deliver(addr, from, to, content string) error {
	client, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := errors.Join(client.Mail(from), client.Rcpt(to)); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	_, err = io.WriteString(body, content)
	return errors.Join(err, body.Close(), client.Quit())
}

// A world with a dead primary, and a client that is no agent: it goes to the backup by itself.
func Example() {
	scenario, err := lab.Load("primary-down")
	if err != nil {
		panic(err)
	}
	world, err := lab.Open(scenario, lab.Loopback(0, "127.0.0.1:0"))
	if err != nil {
		panic(err)
	}
	defer world.Close()

	for _, host := range []string{"mx1.example.test", "mx2.example.test"} {
		addr, err := world.Addr(host)
		if err != nil {
			panic(err)
		}
		err = deliver(addr, "app@client.test", "you@example.test", "Subject: hello\r\n\r\nhello\r\n")
		fmt.Println(host, "takes it:", err == nil)
	}
	for _, m := range world.Messages() {
		fmt.Println(m.Host, m.Sender, m.Recipients, m.Subject)
	}
	for _, text := range []string{"you@example.test delivered by mx2.example.test, copies 1", "you@example.test delivered by mx1.example.test"} {
		expectation, err := lab.ParseExpectation(text)
		if err != nil {
			panic(err)
		}
		fmt.Println(text, "=", world.Judge(expectation).Met)
	}
	// Output:
	// mx1.example.test takes it: false
	// mx2.example.test takes it: true
	// mx2.example.test app@client.test [you@example.test] hello
	// you@example.test delivered by mx2.example.test, copies 1 = true
	// you@example.test delivered by mx1.example.test = false
}

// A scenario is one file. Here the host takes nobody but you, and greylists.
func ExampleParse() {
	scenario, err := lab.Parse("mine.toml", `
title = "Nobody but you"
zone = """
example.test.     MX  10 mx.example.test.
mx.example.test.  A   127.0.1.1
"""

[[host]]
name = "mx.example.test"
behaviour = ["550 for all but you@.*", "greylist for 5m"]
`)
	if err != nil {
		panic(err)
	}
	for _, h := range scenario.Hosts {
		fmt.Println(h.Name, h.Address, strings.Join(h.Behaviour.Strings(), ", "))
	}
	_, err = lab.Parse("mine.toml", "title = 'x'\nzone = 'mx.test. A 127.0.1.1'\n[[host]]\nname = 'mx.test'\nbehaviour = ['refused', 'greylist for 5m']")
	fmt.Println(err)
	// Output:
	// mx.example.test 127.0.1.1 550 for all but you@.*, greylist for 5m
	// mine.toml:5: "greylist for 5m" never comes to act, because of "refused"
}

// What the application under test has: it sends mail by the exchangers that DNS names.
func sendByMX(t *testing.T, w *lab.TestWorld, to string) {
	t.Helper()
	_, domain, _ := strings.Cut(to, "@")
	for _, exchanger := range []string{"mx1." + domain, "mx2." + domain} {
		addr, err := w.Addr(exchanger)
		if err != nil {
			t.Fatal(err)
		}
		if host, _, _ := net.SplitHostPort(addr); !strings.HasPrefix(host, "127.") {
			t.Fatalf("%s is not in the lab", host)
		}
		if deliver(addr, "app@client.test", to, "hello\r\n") == nil {
			return
		}
	}
}

// The test that the package comment shows.
func TestOrderIsConfirmedWhileThePrimaryIsDown(t *testing.T) {
	world := lab.New(t, "primary-down")
	sendByMX(t, world, "you@example.test") // the application, led by world.DNS().Addr() and world.Port()
	world.Expect("you@example.test delivered by mx2.example.test, copies 1")
}
