package smtptest

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// met is what a client that only looks at codes meets in one session.
type met struct {
	said   []string // the head of each line up to the end, at most 24 octets of it
	octets int
	err    error
	took   time.Duration
}

// meet lets a client of fixed words run into the behaviour: each group is
// written when the replies to the one before have come.
func meet(t *testing.T, script string) (got met, heard Connection, transactions []Transaction) {
	inBubble(t, script, func(t *testing.T, s *Server, c *client) {
		began := time.Now()
		c.conn.SetDeadline(began.Add(time.Hour))
		for _, say := range []string{
			"", "EHLO c.test", "HELO c.test", "MAIL FROM:<a@c.test>", "RCPT TO:<ok@mx.test>", "RCPT TO:<bad@mx.test>", "DATA",
			strings.Repeat("0123456789\r\n", 20_000) + ".", "QUIT",
		} {
			if say != "" && say[0] == '0' && !strings.HasPrefix(got.said[len(got.said)-1], "354") {
				continue // no content without being asked for it
			}
			if got.err = got.turn(c, say); got.err != nil {
				break
			}
		}
		if got.err == nil {
			rest, err := io.ReadAll(c.in)
			got.octets, got.err = got.octets+len(rest), err
		}
		got.took = time.Since(began)
		c.conn.Close()
		s.Close()
		heard, transactions = s.Connections()[0], s.Transactions()
	})
	return got, heard, transactions
}

// turn says something and reads one reply; a write that fails is no end, since
// the reply may be there already.
func (m *met) turn(c *client, say string) error {
	if say != "" {
		io.WriteString(c.conn, say+"\r\n")
	}
	for {
		line, err := c.in.ReadString('\n')
		m.octets += len(line)
		if line != "" && len(m.said) < 40 {
			m.said = append(m.said, line[:min(len(line), 24)])
		}
		if err != nil {
			return err
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}

func TestBehaviours(t *testing.T) {
	type want struct {
		says []string // lines that must be heard, by their beginnings, in this order
		not  string   // the beginning of a line that must not be heard
		err  error
		took time.Duration
	}
	stalled := os.ErrDeadlineExceeded
	wants := map[string]want{
		"ok":                             {says: []string{"220 ", "250 SMTPUTF8", "250 2.1.5", "354 ", "250 2.0.0", "221 "}},
		"banner421":                      {says: []string{"421 "}, err: io.EOF},
		"banner554":                      {says: []string{"554 "}, err: io.EOF},
		"ehlo502_helo_ok":                {says: []string{"220 ", "502 ", "250 mx.test", "354 ", "250 2.0.0"}},
		"ehlo421":                        {says: []string{"220 ", "421 "}, err: io.EOF},
		"immediate_close":                {not: "2", err: io.EOF},
		"immediate_rst":                  {not: "2", err: syscall.ECONNRESET},
		"banner_stall":                   {not: "2", err: stalled, took: time.Hour},
		"banner_endless_multiline":       {says: []string{"220-xxxxx"}, not: "220 ", err: stalled, took: time.Hour},
		"banner_endless_line":            {says: []string{"220 xxxxx"}, err: stalled, took: time.Hour},
		"mail550":                        {says: []string{"550 5.7.1", "503 ", "554 "}},
		"mail451":                        {says: []string{"451 4.7.1"}},
		"rcpt550":                        {says: []string{"550 5.1.1", "550 5.1.1", "554 5.5.1"}, not: "354"},
		"rcpt450":                        {says: []string{"450 4.2.0", "450 4.2.0", "554 5.5.1"}, not: "354"},
		"rcpt452_after_first":            {says: []string{"250 2.1.5", "452 4.5.3", "354", "250 2.0.0"}},
		"rcpt552_after_first":            {says: []string{"250 2.1.5", "552 too", "354", "250 2.0.0"}},
		"data554":                        {says: []string{"250 2.1.5", "554 5.7.1"}, not: "354"},
		"data451":                        {says: []string{"250 2.1.5", "451 4.3.0"}, not: "354"},
		"dot250_rst":                     {says: []string{"354", "250 2.0.0"}, err: syscall.ECONNRESET},
		"dot_close":                      {says: []string{"354"}, not: "250 2.0.0 queued", err: io.EOF},
		"dot_stall":                      {says: []string{"354"}, not: "250 2.0.0 queued", err: stalled, took: time.Hour},
		"dot554":                         {says: []string{"354", "554 5.7.1"}},
		"dot451":                         {says: []string{"354", "451 4.3.0"}},
		"dot_garbage_then_250":           {says: []string{"354", "hello world", "250 2.0.0"}},
		"rcpt999":                        {says: []string{"999 weird", "999 weird"}},
		"rcpt099":                        {says: []string{"099 weird", "099 weird"}},
		"rcpt25":                         {says: []string{"25 short", "25 short"}},
		"rcpt250_notext":                 {says: []string{"250\r\n", "250\r\n", "354", "250 2.0.0"}},
		"rcpt_mixed_multiline":           {says: []string{"250-ok", "550 5.1.1 no", "250-ok", "550 5.1.1 no"}},
		"barelf_replies":                 {says: []string{"220 mx.test ESMTP\n", "250 SMTPUTF8\n", "354", "221 2.0.0 bye\n"}},
		"rcpt550_nasty":                  {says: []string{"550-5.1.1 <script>", "550-5.1.1 to=<x>, status", "550 5.1.1 BBBBB"}},
		"data_rst_mid":                   {says: []string{"354"}, err: syscall.ECONNRESET},
		"data_stop_reading":              {says: []string{"354"}, err: stalled, took: time.Hour},
		"no_8bitmime":                    {says: []string{"220 ", "250 mx.test", "354", "250 2.0.0"}, not: "250-"},
		"size_too_small":                 {says: []string{"250-SIZE 100"}},
		"starttls_454":                   {says: []string{"250 STARTTLS"}},
		"starttls_garbage":               {says: []string{"250 STARTTLS"}},
		"mail550_close":                  {says: []string{"550 5.7.1"}, err: io.EOF},
		"rcpt421_close":                  {says: []string{"421 4.7.0"}, err: io.EOF},
		"early_552_during_data":          {says: []string{"354", "552 5.3.4"}, err: io.EOF},
		"rcpt_one_bad":                   {says: []string{"250 2.1.5", "550 5.1.1", "354", "250 2.0.0"}},
		"rcpt251":                        {says: []string{"251 ", "251 ", "354"}},
		"rcpt551":                        {says: []string{"551 ", "551 "}},
		"data250":                        {says: []string{"250 2.1.5", "250 2.0.0 OK"}, not: "354"},
		"quit_stall":                     {says: []string{"354", "250 2.0.0"}, not: "221", err: stalled, took: time.Hour},
		"dot_multiline_slow":             {says: []string{"354", "250-wait", "250-wait", "250-wait", "250 2.0.0"}, took: 3 * time.Second},
		"ehlo_drip":                      {says: []string{"250-mx", "250-PIPELINING", "250 8BITMIME", "354"}, took: 46 * time.Second},
		"banner220_then_421_unsolicited": {says: []string{"220 ", "250 8BITMIME", "421 "}, err: io.EOF},
	}
	all := Behaviours()
	if len(all) != len(wants) || len(all) != 48 {
		t.Errorf("%d behaviours, %d expectations", len(all), len(wants))
	}
	for _, b := range all {
		w, known := wants[b.Name]
		if !known || b.Text == "" {
			t.Errorf("behaviour %q (%q) is not expected", b.Name, b.Text)
			continue
		}
		t.Run(b.Name, func(t *testing.T) {
			got, _, _ := meet(t, b.Script)
			if !inOrder(got.said, w.says) {
				t.Errorf("heard %q, want %q", got.said, w.says)
			}
			if w.not != "" && slices.ContainsFunc(got.said, func(s string) bool { return strings.HasPrefix(s, w.not) }) {
				t.Errorf("heard %q, which has %q", got.said, w.not)
			}
			if w.err != nil && !errors.Is(got.err, w.err) || got.took != w.took {
				t.Errorf("ended with %v after %v, want %v after %v", got.err, got.took, w.err, w.took)
			}
		})
	}
}

// inOrder tells whether said has lines that begin with wanted, in that order.
func inOrder(said, wanted []string) bool {
	for _, s := range said {
		if len(wanted) > 0 && strings.HasPrefix(s, wanted[0]) {
			wanted = wanted[1:]
		}
	}
	return len(wanted) == 0
}

func TestBehaviourVolumes(t *testing.T) {
	for _, b := range Behaviours() {
		want := map[string]int{
			"banner_endless_multiline": 300_000 * 66,
			"banner_endless_line":      15_000_004,
		}[b.Name]
		if want == 0 {
			continue
		}
		if got, _, _ := meet(t, b.Script); got.octets != want {
			t.Errorf("%s: %d octets, want %d", b.Name, got.octets, want)
		}
	}
}

func TestBehaviourDataResetKeepsWhatCame(t *testing.T) {
	for _, b := range Behaviours() {
		if b.Name != "data_rst_mid" {
			continue
		}
		_, heard, transactions := meet(t, b.Script)
		if m := transactions[0]; m.Complete || m.Size < 1000 || m.Size > 1100 || heard.End != "reset by script" {
			t.Errorf("%d octets, complete %v, %s", m.Size, m.Complete, heard.End)
		}
	}
}
