//go:build crash

package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// clientPatience is how long an answer may take. Under strace each of them is slow.
const clientPatience = 30 * time.Second

// errRefused ends a transaction that the agent said no to.
var errRefused = errors.New("refused")

// load hands letters over on several connections until its context ends or the letters are used up.
type load struct {
	home        *home
	prefix      string // of the names
	connections int
	letters     int // on each connection; 0: without end
	seed        uint64
	size        int // of each letter; 0: mixed
	book        *ledger
	// stopAt ends the load at the first refusal with this code.
	stopAt string
	doors  []door // each letter goes through one of these; none: all by SMTP
}

// run returns when all connections have ended. That one of them breaks is what the tests are about: it is told by the ledger only.
func (l load) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range l.connections {
		all.Go(func() { l.converse(ctx, i) })
	}
	all.Wait()
}

// letter is the nth one of a connection: mostly small, now and then one that the store keeps in a file of its own.
func (l load) letter(random *rand.Rand, connection, n int) letter {
	made := letter{name: fmt.Sprintf("%s-%d-%d", l.prefix, connection, n), size: l.size}
	for _, i := range random.Perm(len(domains()))[:1+random.IntN(2)] {
		made.domains = append(made.domains, domains()[i])
	}
	made.keyed = len(l.doors) > 0 && random.IntN(2) == 0
	if made.size == 0 {
		made.size = 200 + random.IntN(8000)
		if random.IntN(50) == 0 {
			made.size = 300_000 + random.IntN(100_000)
		}
	}
	return made
}

// converse is one connection.
func (l load) converse(ctx context.Context, connection int) {
	random := rand.New(rand.NewPCG(l.seed, uint64(connection)))
	v := l.home.visitor()
	defer v.close()
	for n := 0; l.letters == 0 || n < l.letters; n++ {
		if ctx.Err() != nil {
			return
		}
		made := l.letter(random, connection, n)
		// Written down before the first octet: whatever arrives is known.
		l.book.note(made, refused)
		f, reply, err := v.hand(ctx, l.pick(random), made)
		l.book.note(made, f)
		if f == accepted {
			l.book.given(made, idOf(reply))
		}
		if reply != "" && f != accepted {
			l.book.refusedWith(reply)
		}
		if err != nil && !errors.Is(err, errRefused) || l.stopAt != "" && strings.HasPrefix(reply, l.stopAt) {
			return
		}
	}
}

// conversation is an SMTP session with the agent.
type conversation struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialAgent(ctx context.Context, address string) (*conversation, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conversation{conn: conn, in: bufio.NewReader(conn)}
	if err := c.greet(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *conversation) greet() error {
	if _, err := c.expect("220"); err != nil {
		return err
	}
	_, err := c.ask("EHLO client.test\r\n", "250")
	return err
}

// reply reads one reply and returns its last line.
func (c *conversation) reply() (string, error) {
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(clientPatience)); err != nil {
			return "", err
		}
		line, err := c.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSpace(line), nil
		}
	}
}

func (c *conversation) expect(code string) (string, error) {
	reply, err := c.reply()
	if err == nil && !strings.HasPrefix(reply, code) {
		err = errRefused
	}
	return reply, err
}

func (c *conversation) ask(line, code string) (string, error) {
	if _, err := c.conn.Write([]byte(line)); err != nil {
		return "", err
	}
	return c.expect(code)
}

// hand makes one transaction.
func (c *conversation) hand(l letter) (f fate, reply string, err error) {
	commands := []string{"MAIL FROM:<" + l.sender() + ">\r\n"}
	for _, d := range l.domains {
		commands = append(commands, "RCPT TO:<to@"+d+">\r\n")
	}
	for _, line := range commands {
		if reply, err = c.ask(line, "250"); err != nil {
			return refused, reply, c.reset(err)
		}
	}
	if reply, err = c.ask("DATA\r\n", "354"); err != nil {
		return refused, reply, c.reset(err)
	}
	if _, err = c.conn.Write(l.content()); err != nil {
		return inDoubt, "", err
	}
	reply, err = c.expect("250")
	switch {
	case err == nil:
		return accepted, reply, nil
	case errors.Is(err, errRefused) && strings.HasPrefix(reply, "451"):
		return unsynced, reply, err
	case errors.Is(err, errRefused):
		return refused, reply, err
	}
	return inDoubt, "", err
}

// reset leaves a transaction that was refused, so that the next one can begin.
func (c *conversation) reset(err error) error {
	if !errors.Is(err, errRefused) {
		return err
	}
	if _, failed := c.ask("RSET\r\n", "250"); failed != nil {
		return failed
	}
	return err
}
