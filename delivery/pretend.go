package delivery

import (
	"time"

	"sternpost/mail"
)

// pretend lets the mask of c, if there is one, answer in place of the network, and says whether it did. What follows is what would follow: the
// mask's event takes the same way as a real one.
func (w *walk) pretend(c *candidate) bool {
	m := findMask(w.masks, c.Host, c.Address)
	if m == nil || w.pretendsNoTLS(c) {
		return false
	}
	e := m.event
	e.smarthost, e.pretended = c.target.smarthost != nil, true
	c.again = false
	c.note(mail.StageRecord{Stage: e.stage, At: time.Now(), Reply: e.reply, Error: "pretended: " + m.text})
	c.end(mail.VerdictDeferred)
	if beforeMail(e.stage) {
		v := classify(e)
		for _, p := range w.owed() {
			p.hit(&e, v, c)
		}
	} else {
		results := make([]*result, len(w.owed()))
		for i := range results {
			results[i] = &result{event: &e}
		}
		w.count(results, e.stage == mail.StageDot)
		w.judge(c, results)
	}
	w.endTwin()
	return true
}

// pretendsNoTLS finds the mask that refuses STARTTLS where TLS is not required: the session goes on in clear, for real.
func (w *walk) pretendsNoTLS(c *candidate) bool {
	m := findMask(w.masks, c.Host, c.Address)
	refused := m != nil && m.event.stage == mail.StageStartTLS && m.event.reply.Code != 421
	return refused && !c.target.level.required()
}
