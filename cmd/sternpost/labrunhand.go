package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sternpost/dsn"
	"sternpost/lab"
	"sternpost/mail"
	"sternpost/queue"
	"sternpost/submission"
)

// handed is what became of a message of the scenario at the agent's door.
type handed struct {
	number  int // in the scenario, from 1
	at      time.Time
	id      queue.ID // zero: nothing was taken
	refused map[mail.Address]error
	stands  map[mail.Address]bool // an alias, which is no recipient itself
}

// handIn hands the messages in, each a millisecond after its time: what the scenario changes at that time is changed then. Those of the same time come a millisecond
// apart, in their order. When ctx ends the rest stays where it is.
func (r labRun) handIn(ctx context.Context, a *core) ([]handed, error) {
	var list []handed
	numbers := make([]int, len(r.scenario.Messages))
	for i := range numbers {
		numbers[i] = i
	}
	slices.SortStableFunc(numbers, func(i, j int) int { return int(r.scenario.Messages[i].At - r.scenario.Messages[j].At) })
	next := bubbleStart()
	for _, i := range numbers {
		m := r.scenario.Messages[i]
		if next = next.Add(time.Millisecond); next.Before(bubbleStart().Add(m.At + time.Millisecond)) {
			next = bubbleStart().Add(m.At + time.Millisecond)
		}
		if !sleepUntil(ctx, next) {
			return list, nil
		}
		one, err := a.handIn(ctx, m)
		if err != nil {
			return list, err
		}
		one.number = i + 1
		list = append(list, one)
	}
	return list, nil
}

// sleepUntil says whether the time came before the end of ctx.
func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// labClient is who hands in the mail of the lab.
func labClient() submission.Client {
	return submission.Client{Door: submission.DoorSMTP, UID: -1, Address: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Helo: "application.sternpost.test", Protocol: "ESMTP"}
}

// handIn takes one message through the intake, as the SMTP door does. The error is none that a client can be told.
func (a *core) handIn(ctx context.Context, m lab.Message) (handed, error) {
	h := handed{at: time.Now(), refused: map[mail.Address]error{}, stands: map[mail.Address]bool{}}
	l := submission.Letter{Client: labClient(), Envelope: mail.Envelope{From: m.From}}
	err := a.intake.Sender(l.Client, m.From)
	for _, to := range m.To {
		if err != nil {
			break
		}
		e, refusal := a.intake.Recipient(l.Client, m.From, mail.Recipient{Address: to})
		if refusal != nil {
			h.refused[to] = refusal
			continue
		}
		h.stands[to] = !slices.ContainsFunc(e.Recipients, func(r mail.Recipient) bool { return r.Address == to })
		l.Envelope.Recipients = append(l.Envelope.Recipients, e.Recipients...)
		l.Expanded = append(l.Expanded, e.Expanded...)
	}
	if err == nil && len(l.Envelope.Recipients) > 0 {
		l.UTF8 = l.Envelope.NeedsUTF8()
		var receipt submission.Receipt
		receipt, err = a.intake.Submit(ctx, l, bytes.NewReader(m.Content()))
		h.id = receipt.ID
	}
	if refusal := new(submission.Refusal); err == nil || !errors.As(err, &refusal) {
		return h, err
	}
	for _, to := range m.To {
		h.refused[to] = err
	}
	return h, nil
}

// returned is what the reports said that came back to a sender, by their Message-ID.
type returned struct {
	mu      sync.Mutex
	reports map[string][]saidOf
}

// saidOf is what a report says of a recipient.
type saidOf struct {
	to     mail.Address
	action dsn.Action
}

func newReturned() *returned { return &returned{reports: map[string][]saidOf{}} }

// see reads what arrives in the world. Reports have the null reverse-path.
func (r *returned) see(e lab.Event) {
	if e.Kind != lab.EventMessage || !e.Message.Accepted || e.Message.Sender != "" && e.Message.Sender != "<>" {
		return
	}
	report, err := dsn.Parse(bytes.NewReader(e.Message.Content))
	if err != nil {
		return // other mail
	}
	var list []saidOf
	for _, one := range report.Recipients {
		list = append(list, saidOf{one.Final, one.Action})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports[report.MessageID] = list
}

// about is what the report with that Message-ID says of a recipient; empty: nothing, or it did not come back.
func (r *returned) about(messageID string, to mail.Address) dsn.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.reports[messageID] {
		if one.to == to {
			return one.action
		}
	}
	return ""
}

// says is what the report with that Message-ID says, recipient by recipient.
func (r *returned) says(messageID string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, one := range r.reports[messageID] {
		list = append(list, mail.Escape(one.to.String())+" "+string(one.action))
	}
	return list
}
