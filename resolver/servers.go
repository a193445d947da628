package resolver

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"

	"sternpost/mail"
)

// server is one recursive server with what was seen of it. upstream.mu guards all but address and validating.
type server struct {
	address    string
	validating bool
	rtt        time.Duration // smoothed; 0: not known
	failures   int           // without an answer between them
	heard      bool          // it has sent something, once
	asked      time.Time
}

// upstream is all servers: it asks the best first, repeats, and goes on to the next.
type upstream struct {
	transport transport
	mu        sync.Mutex
	servers   []*server
}

// rounds are the waits for a reply; each round asks every server that has not answered yet.
func rounds() []time.Duration { return []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} }

// reply is an answer that can be used: NOERROR or NXDOMAIN.
type reply struct {
	message *dns.Msg
	trusted bool // the AD bit of this server is believed
}

// ask puts q to the servers until one has an answer. A server that says that it cannot tell is not asked again; one that is silent
// is, in the next round. What a validating server refused is not asked of one that does not validate: a forged answer is a SERVFAIL there, often
// without an extended error that says so (RFC 4035 s5.5). The failure is the most telling one.
func (u *upstream) ask(ctx context.Context, q question) (reply, *failure) {
	left := u.ranked(time.Now())
	worst := &failure{rcode: mail.RCodeTimeout, text: "no server was asked"}
	refused := false // by a validating server
	for _, wait := range rounds() {
		var silent []*server
		for _, s := range left {
			if ctx.Err() != nil {
				return reply{}, worst
			}
			if refused && !s.validating {
				continue
			}
			message, fail := u.try(ctx, s, q, wait)
			if fail == nil {
				return reply{message, s.validating}, nil
			}
			worst = moreTelling(worst, fail)
			refused = refused || s.validating && fail.mayBeProof()
			if fail.rcode == mail.RCodeTimeout {
				silent = append(silent, s)
			}
		}
		left = silent
	}
	if u.neverHeard() {
		worst.text += "; no DNS server has ever answered: set resolver.servers, or check /etc/resolv.conf"
	}
	return reply{}, worst
}

// neverHeard says whether no server has ever sent anything: then it is not the domain.
func (u *upstream) neverHeard() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !slices.ContainsFunc(u.servers, func(s *server) bool { return s.heard })
}

// mayBeProof says whether a validating server answers so where the validation failed.
func (f *failure) mayBeProof() bool {
	return f.rcode == mail.RCodeBogus || f.rcode == mail.RCodeServFail
}

// try asks one server once and notes how it went.
func (u *upstream) try(ctx context.Context, s *server, q question, wait time.Duration) (*dns.Msg, *failure) {
	start := time.Now()
	message, fail := u.transport.exchange(ctx, s.address, q, wait)
	if fail == nil {
		fail = refusal(s.address, message)
	}
	if ctx.Err() == nil || fail == nil {
		u.note(s, start, fail)
	}
	return message, fail
}

// note keeps the score of a server. SERVFAIL is often the fault of the domain, so that only silence and replies that make no sense count.
func (u *upstream) note(s *server, start time.Time, fail *failure) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s.asked = time.Now()
	s.heard = s.heard || fail == nil || fail.heard || fail.rcode != mail.RCodeTimeout
	if fail != nil && (fail.rcode == mail.RCodeTimeout || fail.rcode == mail.RCodeInvalid) {
		s.failures++
		return
	}
	s.failures = 0
	rtt := max(s.asked.Sub(start), 1)
	if s.rtt != 0 {
		rtt = (7*s.rtt + rtt) / 8 // the gain of RFC 6298 s2.3
	}
	s.rtt = rtt
}

// Scores age, so that a server that was slow or dead is tried again: a failure counts for failureAge, a round trip time for rttAge.
const (
	failureAge = 30 * time.Second
	rttAge     = 5 * time.Minute
)

// ranked lists the servers, best first: those that do not fail, then the fastest; those not known yet are tried before the others, in
// the order of the configuration.
func (u *upstream) ranked(now time.Time) []*server {
	u.mu.Lock()
	defer u.mu.Unlock()
	score := func(s *server) (failures int, rtt time.Duration) {
		age := now.Sub(s.asked)
		if age < failureAge {
			failures = s.failures
		}
		if age < rttAge {
			rtt = s.rtt
		}
		return failures, rtt
	}
	order := slices.Clone(u.servers)
	slices.SortStableFunc(order, func(a, b *server) int {
		failuresA, rttA := score(a)
		failuresB, rttB := score(b)
		return cmp.Or(cmp.Compare(failuresA, failuresB), cmp.Compare(rttA, rttB))
	})
	return order
}

// moreTelling is the failure that says more about the question.
func moreTelling(a, b *failure) *failure {
	order := []mail.RCode{mail.RCodeTimeout, mail.RCodeInvalid, mail.RCodeRefused, mail.RCodeServFail, mail.RCodeBogus}
	if slices.Index(order, b.rcode) >= slices.Index(order, a.rcode) {
		return b
	}
	return a
}

// refusal is nil where the reply is an answer, and else says why it is none.
func refusal(address string, m *dns.Msg) *failure {
	where := address + " answers "
	switch {
	case m.Rcode == dns.RcodeSuccess && isReferral(m):
		return &failure{rcode: mail.RCodeServFail, text: where + "with a referral: it is not a recursive server"}
	case m.Rcode == dns.RcodeSuccess, m.Rcode == dns.RcodeNameError:
		return nil
	}
	name, ok := dns.RcodeToString[m.Rcode]
	if !ok {
		name = "RCODE " + strconv.Itoa(m.Rcode)
	}
	code, text := extended(m)
	fail := &failure{rcode: mail.RCodeServFail, text: where + name + text}
	switch {
	case m.Rcode == dns.RcodeRefused:
		fail.rcode = mail.RCodeRefused
	case m.Rcode == dns.RcodeServerFailure && isBogus(code):
		fail.rcode = mail.RCodeBogus
	}
	return fail
}

// isReferral tells a referral, which is no answer, from NODATA (RFC 2308 s2.2.1).
func isReferral(m *dns.Msg) bool {
	if m.Authoritative || len(m.Answer) > 0 {
		return false
	}
	nameservers := false
	for _, rr := range m.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return false
		case dns.TypeNS:
			nameservers = true
		}
	}
	return nameservers
}

// maxExtraText is how many octets of a server's words are kept: they go into the cache, the tree and the log.
const maxExtraText = 200

// extended returns the first extended DNS error (RFC 8914) and its text for people; noError where there is none.
func extended(m *dns.Msg) (code uint16, text string) {
	opt := m.IsEdns0()
	if opt == nil {
		return noError, ""
	}
	for _, option := range opt.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			text = ", " + cmp.Or(dns.ExtendedErrorCodeToString[ede.InfoCode], "extended error "+strconv.Itoa(int(ede.InfoCode)))
			if ede.ExtraText != "" {
				text += ": " + mail.Escape(ede.ExtraText[:min(len(ede.ExtraText), maxExtraText)])
			}
			return ede.InfoCode, text
		}
	}
	return noError, ""
}

// noError is a code that RFC 8914 s5.2 keeps for private use at its very end; here it stands for no extended error.
const noError = 0xffff

// isBogus says whether the extended error means that the validation failed (RFC 8914 s4.7 to s4.13).
func isBogus(code uint16) bool {
	return code >= dns.ExtendedErrorCodeDNSBogus && code <= dns.ExtendedErrorCodeNSECMissing
}
