//go:build bench

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long a program may take to start, to end, or to move one more message.
const patience = 30 * time.Second

// program is one that runs beside us.
type program struct {
	name    string
	command *exec.Cmd
	said    string // a file with what it wrote
	ended   chan struct{}
}

// launch starts a program; what it writes goes to a file in dir, behind what it wrote before.
func launch(dir, path string, args ...string) (*program, error) {
	p := &program{name: filepath.Base(path), command: exec.Command(path, args...), ended: make(chan struct{})}
	p.said = filepath.Join(dir, p.name+".said")
	said, err := os.OpenFile(p.said, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	p.command.Stdout, p.command.Stderr = said, said
	// Postfix ends its children by their process group.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		// How it ended is in ProcessState.
		_ = p.command.Wait()
	}()
	return p, nil
}

// stop ends the program and waits until it has. The agent finishes attempts for 30 seconds, and then has to end.
func (p *program) stop() error {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(2 * patience):
		_ = p.command.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end on SIGTERM in %v", p.name, 2*patience)
	}
}

// await asks every few milliseconds until it is so, and gives up when the program has ended or nothing has moved for long.
func (p *program) await(what string, so func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		if yes, err := so(); err != nil || yes {
			return err
		}
		select {
		case <-p.ended:
			return p.complain(what, "has ended")
		case <-poll.C:
		}
		if time.Now().After(deadline) {
			return p.complain(what, "takes too long")
		}
	}
}

func (p *program) complain(what, why string) error {
	said, _ := os.ReadFile(p.said)
	return fmt.Errorf("waiting for %s: %s %s: %s", what, p.name, why, tail(said, 2000))
}

func tail(text []byte, most int) []byte { return text[max(0, len(text)-most):] }

// greets waits until a mail server greets at the address.
func (p *program) greets(address string) error {
	return p.await("a greeting at "+address, func() (bool, error) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false, nil
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return false, err
		}
		greeting := make([]byte, 3)
		if _, err := conn.Read(greeting); err != nil {
			return false, nil
		}
		_, err = conn.Write([]byte("QUIT\r\n"))
		return err == nil && string(greeting) == "220", nil
	})
}
