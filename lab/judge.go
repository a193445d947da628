package lab

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// most is how many greylisted triplets, counted recipients and begun messages a host remembers. Beyond it the host forgets them all and begins anew.
const most = 100_000

// judge is what a host remembers, and how it decides what depends on that.
type judge struct {
	behaviour Behaviour
	seed      uint64
	name      string
	began     time.Time // the start of the world

	mu    sync.Mutex
	first map[triplet]time.Time         // when a triplet was seen first
	asked map[asked]int                 // how often a recipient was asked for
	begun map[time.Duration][]time.Time // messages, by the length of the period they are counted in
}

// triplet is what greylisting goes by.
type triplet struct {
	from, to string
	client   netip.Addr
}

// asked is what chance is drawn for.
type asked struct {
	phrase   int
	from, to string
}

func newJudge(h Host, seed uint64, began time.Time) *judge {
	return &judge{
		behaviour: h.Behaviour, seed: seed, name: h.Name, began: began,
		first: map[triplet]time.Time{}, asked: map[asked]int{}, begun: map[time.Duration][]time.Time{},
	}
}

// decide is the smtptest decision of the host.
func (j *judge) decide(o smtptest.Occasion) string {
	now := o.At.Sub(j.began)
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, p := range j.behaviour {
		if !p.Window.holds(now) || !slices.Contains(verbs(p.stage), o.Verb) {
			continue
		}
		if steps := j.phrase(i, p, o); steps != "" {
			return steps
		}
	}
	if steps := j.size(now, o); steps != "" {
		return steps
	}
	j.begin(o)
	return ""
}

// sizeParameter is that of MAIL (RFC 1870 s6).
var sizeParameter = regexp.MustCompile(`(?i) SIZE=(\d{1,18})(?: |$)`)

// size refuses what is bigger than the host takes, when it is announced and when it has come.
func (j *judge) size(now time.Duration, o smtptest.Occasion) string {
	most, size := int64(mostContent), o.Size
	for _, p := range j.behaviour.at(now) {
		if p.kind == kindSize {
			most = int64(p.count)
		}
	}
	if match := sizeParameter.FindStringSubmatch(o.Line); o.Verb == "mail" && match != nil {
		size, _ = strconv.ParseInt(match[1], 10, 64) // as many digits as fit
	}
	if size <= most {
		return ""
	}
	return reply{552, "5.3.4", fmt.Sprintf("message too big: %d octets are the most", most)}.steps(false)
}

// phrase is what one phrase makes of the occasion, which is one of its stage.
func (j *judge) phrase(i int, p Phrase, o smtptest.Occasion) string {
	switch p.kind {
	case kindSilent:
		return "stall"
	case kindEndlessBanner:
		return "endless-lines forever 220-" + j.name + " and more to come"
	case kindEndlessLine:
		return `endless-line forever 220\x20` + j.name + `\x20`
	case kindReply:
		if j.concerns(i, p, o) {
			return p.reply.usual(p.stage).steps(p.stage == mail.StageGreeting)
		}
	case kindStartTLS:
		return p.wrongTLS(o)
	case kindGreylist:
		return j.greylist(p, o)
	case kindLimit:
		return j.limit(p, o)
	case kindDrop:
		return p.cut("close", o)
	case kindReset:
		return p.cut("reset", o)
	}
	return ""
}

// wrongTLS is what is wrong with STARTTLS beyond the certificate.
func (p Phrase) wrongTLS(o smtptest.Occasion) string {
	switch p.choice {
	case "required":
		if o.Verb == "mail" && !o.TLS {
			return "530 5.7.0 say STARTTLS first"
		}
	case "refused":
		return "454 4.7.0 TLS not available now"
	case "broken":
		return "220 2.0.0 go ahead / read 1 / garbage / close"
	}
	return ""
}

// cut ends the connection where the reply belongs, or in the middle of the content.
func (p Phrase) cut(how string, o smtptest.Occasion) string {
	switch {
	case p.stage != mail.StageContent:
		return how
	case o.Verb == "bdat":
		return "read 1 / " + how
	}
	return "354 go ahead / read 1 / " + how
}

// concerns says whether the reply is for this recipient; one that is not for recipients is for everybody.
func (j *judge) concerns(i int, p Phrase, o smtptest.Occasion) bool {
	switch {
	case p.who.percent > 0:
		return j.drawn(i, p, o)
	case p.who.pattern != nil:
		return p.who.pattern.MatchString(o.Address) != p.who.not
	}
	return true
}

// drawn draws by the seed and by whom it is about, not by the order in which things come. A refusal for good stays one; one for now is drawn anew each
// time that the recipient is asked for.
func (j *judge) drawn(i int, p Phrase, o smtptest.Occasion) bool {
	nth := 0
	if p.reply.code < 500 {
		if len(j.asked) >= most {
			clear(j.asked)
		}
		key := asked{i, o.From, o.Address}
		j.asked[key]++
		nth = j.asked[key]
	}
	h := fnv.New64a()
	var number [8]byte
	for _, n := range []uint64{j.seed, uint64(i), uint64(nth)} {
		binary.BigEndian.PutUint64(number[:], n)
		h.Write(number[:])
	}
	fmt.Fprintf(h, "%s\x00%s\x00%s", j.name, o.From, o.Address)
	return mix(h.Sum64())%100 < uint64(p.who.percent)
}

// mix spreads the bits of a sum whose last octets have only touched the lower ones: the finalizer of MurmurHash3.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// greylist refuses a triplet until it has been known for long enough.
func (j *judge) greylist(p Phrase, o smtptest.Occasion) string {
	key := triplet{from: strings.ToLower(o.From), to: strings.ToLower(o.Address), client: clientOf(o.Remote)}
	since, known := j.first[key]
	if !known {
		if len(j.first) >= most {
			clear(j.first)
		}
		j.first[key], since = o.At, o.At
	}
	left := p.wait - o.At.Sub(since)
	if left <= 0 {
		return ""
	}
	text := cmp.Or(p.reply.text, "greylisted, come back in "+showDuration(left.Round(time.Second)))
	return reply{450, "4.7.1", text}.steps(false)
}

// limit refuses the message after the last that is allowed.
func (j *judge) limit(p Phrase, o smtptest.Occasion) string {
	count := o.Accepted
	if p.wait > 0 {
		list := slices.DeleteFunc(j.begun[p.wait], func(at time.Time) bool { return o.At.Sub(at) >= p.wait })
		j.begun[p.wait] = list
		count = len(list)
	}
	if count < p.count {
		return ""
	}
	y := p.reply
	if y.status == "" && y.text == "" {
		y.status, y.text = fmt.Sprintf("%d.7.0", y.code/100), "too many messages, slow down"
	}
	return y.usual(p.stage).steps(false)
}

// begin counts a message that no phrase stopped at MAIL.
func (j *judge) begin(o smtptest.Occasion) {
	if o.Verb != "mail" {
		return
	}
	periods := map[time.Duration]bool{}
	for _, p := range j.behaviour {
		periods[p.wait] = p.kind == kindLimit && p.wait > 0 || periods[p.wait]
	}
	for period, counted := range periods {
		if counted && len(j.begun[period]) < most {
			j.begun[period] = append(j.begun[period], o.At)
		}
	}
}

// clientOf is the address of a client without its port.
func clientOf(remote net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}
