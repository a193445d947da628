package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/dsn"
	"sternpost/mail"
	"sternpost/queue"
)

// notify submits a message from me@us.test with wishes of its own.
func (w *world) notify(wishes []string, to ...string) {
	w.t.Helper()
	s := submission(w.t, "me@us.test", to...)
	for i := range s.Envelope.Recipients {
		s.Envelope.Recipients[i].Notify = wishes
	}
	if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("Subject: x\r\n\r\ntext\r\n")); err != nil {
		w.t.Fatal(err)
	}
}

// reports are the reports that came to us.test, as "action recipient, ..." each.
func (w *world) reports() []string {
	w.t.Helper()
	var list []string
	for _, a := range w.tries("us.test") {
		r, err := dsn.Parse(strings.NewReader(a.text))
		if err != nil {
			w.t.Fatalf("%v: %s", err, a.text)
		}
		var about []string
		for _, recipient := range r.Recipients {
			about = append(about, string(recipient.Action)+" "+recipient.Final.String())
		}
		list = append(list, strings.Join(about, ", "))
	}
	return list
}

func (w *world) expectReports(when string, want ...string) {
	w.t.Helper()
	if got := w.reports(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		w.t.Errorf("%s: got %q, want %q", when, got, want)
	}
}

// after answers when some time has passed.
func after(d time.Duration, answer func(mail.Transaction) mail.Outcome) func(mail.Transaction) mail.Outcome {
	return func(t mail.Transaction) mail.Outcome {
		<-time.After(d)
		return answer(t)
	}
}

// The failures of one message come in one report, when nothing of it is under way.
func TestOneReportForAMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("no.test", refused)
		w.answer("slow.test", after(2*time.Minute, refused))
		w.answer("yes.test", after(3*time.Minute, delivered))
		w.notify(nil, "a@no.test", "b@slow.test", "c@yes.test")
		pass(150 * time.Second)
		w.expectReports("while one is under way")
		pass(35 * time.Second)
		w.expectReports("then", "failed a@no.test, failed b@slow.test")
		pass(time.Hour)
		if w.expectReports("later", "failed a@no.test, failed b@slow.test"); w.waiting() != 0 {
			t.Errorf("%d messages wait", w.waiting())
		}
	})
}

// A failure does not wait for more than five minutes, nor for the next attempt of another recipient.
func TestReportDoesNotWaitForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("no.test", refused)
		w.answer("slow.test", after(9*time.Minute, refused))
		w.notify(nil, "a@no.test", "b@slow.test")
		pass(4*time.Minute + 50*time.Second)
		w.expectReports("before five minutes")
		pass(20 * time.Second)
		w.expectReports("at five minutes", "failed a@no.test")
		pass(5 * time.Minute)
		w.expectReports("at the end", "failed a@no.test", "failed b@slow.test")
	})
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("no.test", refused)
		w.answer("grey.test", greylisted)
		w.notify(nil, "a@no.test", "b@grey.test")
		pass(20 * time.Second)
		w.expectReports("nothing is under way", "failed a@no.test")
	})
}

// Who waits for a dead destination, or for his place in a destination with a rate, is not under way: the report does not wait for him.
func TestReportDoesNotWaitForTheHeldUp(t *testing.T) {
	soon := func(c *queue.Config) { c.PerDestinations = []queue.Override{{Domains: []string{"slow.test"}, Rate: 2}} }
	for name, prepare := range map[string]func(w *world){
		"dead": func(w *world) {
			w.answer("slow.test", down)
			w.submit("me@us.test", "first@slow.test")
		},
		"dead before it was settled": func(w *world) {
			w.answer("slow.test", down)
			w.answer("no.test", after(30*time.Second, refused))
		},
		"rate": func(w *world) {
			for i := range 30 {
				w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
			}
		},
		"rate, and refused while it waits": func(w *world) {
			w.answer("no.test", after(70*time.Second, refused))
			for i := range 30 {
				w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
			}
		},
	} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, soon)
			w.answer("no.test", refused)
			prepare(w)
			synctest.Wait()
			w.notify(nil, "a@no.test", "b@slow.test")
			pass(100 * time.Second)
			w.expectReports(name, "failed a@no.test")
			pass(time.Hour)
			w.expectReports(name+", later", "failed a@no.test")
		})
	}
}

// What waits for its report is reported once after a crash, and at once, since nothing is under way then.
func TestReportAfterCrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("no.test", refused)
		w.answer("slow.test", after(4*time.Minute, greylisted))
		w.notify(nil, "a@no.test", "b@slow.test")
		pass(time.Minute)
		w.expectReports("before the crash")
		old := w.store
		old.FailCommits(context.Canceled)
		w.store = old.Reopen()
		w.stop()
		<-w.ended
		w.begin(w.store)
		pass(time.Hour)
		w.expectReports("after the crash", "failed a@no.test")
	})
}

// Success is told where the next host does not, and where it was asked for.
func TestReportOfSuccess(t *testing.T) {
	keeps := func(t mail.Transaction) mail.Outcome {
		o := delivered(t)
		o.KeepsDSN = true
		return o
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dsn.test", keeps)
		w.answer("no.test", refused)
		w.notify([]string{"SUCCESS", "FAILURE"}, "a@plain.test", "b@dsn.test", "c@no.test")
		pass(time.Minute)
		w.expectReports("with SUCCESS", "relayed a@plain.test, failed c@no.test")
	})
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.notify([]string{"FAILURE"}, "a@plain.test")
		w.notify(nil, "a@plain.test")
		pass(time.Minute)
		w.expectReports("without SUCCESS")
	})
}

// There is one notice of delay a message, about all that wait and want to know.
func TestOneNoticeOfDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.answer("dead.test", down)
		w.answer("other.test", after(8*time.Second, greylisted))
		w.notify(nil, "a@grey.test", "b@dead.test", "c@other.test", "d@yes.test")
		pass(12 * time.Hour)
		w.expectReports("once", "delayed a@grey.test, delayed b@dead.test, delayed c@other.test")
		pass(6 * 24 * time.Hour)
		got := w.reports()
		text := strings.Join(got[1:], ", ")
		for _, a := range []string{"a@grey.test", "b@dead.test", "c@other.test"} {
			if strings.Count(text, "failed "+a) != 1 {
				t.Errorf("%s is reported: %q", a, got)
			}
		}
		if strings.Contains(text, "delayed") || w.waiting() != 0 {
			t.Errorf("%q, and %d wait", got, w.waiting())
		}
	})
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.notify([]string{"FAILURE"}, "a@grey.test")
		pass(12 * time.Hour)
		w.expectReports("without DELAY")
	})
}

// A message that nothing fails of pays nothing for reports: the store is not asked for any but now and then.
func TestReportsCostNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		pass(5 * time.Second)
		before := w.store.Counts().Reports
		for range 500 {
			w.notify(nil, "a@one.test", "b@two.test")
		}
		pass(4 * time.Second)
		if n := w.store.Counts().Reports - before; n > 1 || w.waiting() != 0 {
			t.Errorf("the store was asked %d times for reports of 500 messages; %d wait", n, w.waiting())
		}
	})
}

// A person's return of a whole message is one report.
func TestReportOfReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.answer("dead.test", greylisted)
		w.notify(nil, "a@grey.test", "b@dead.test")
		pass(10 * time.Second)
		if _, err := w.queue.Fail(context.Background(), queue.Query{}); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		w.expectReports("returned", "failed a@grey.test, failed b@dead.test")
	})
}

// A report says of each host what went wrong there, in the words of its own recipient, and of the attempts of others too.
func TestReportSaysWhatHostsSaid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice, c.Lifetime = 0, time.Hour })
		reply := func(stage mail.Stage, text string) mail.StageRecord {
			return mail.StageRecord{Stage: stage, Reply: mail.Reply{Code: 450, Lines: []string{text}}}
		}
		const place = "first: the lowest preference that can be tried"
		w.tree("grey.test", func() []mail.Candidate {
			return []mail.Candidate{
				{Host: "mx1.grey.test", Verdict: mail.VerdictDeferred, Reason: place, Stages: []mail.StageRecord{{Stage: mail.StageConnect, Error: "no connection: connection refused"}}},
				{Host: "mx.test", Verdict: mail.VerdictDeferred, Reason: place, Stages: []mail.StageRecord{reply(mail.StageRcpt, "450 not a"), reply(mail.StageRcpt, "450 not b")}},
			}
		})
		w.answer("grey.test", func(tr mail.Transaction) mail.Outcome {
			o := greylisted(tr)
			o.Host = "mx.test"
			return o
		})
		w.tree("dead.test", func() []mail.Candidate {
			return []mail.Candidate{{Host: "mx.dead.test", Verdict: mail.VerdictDeferred, Reason: place, Stages: []mail.StageRecord{{Stage: mail.StageGreeting, Error: "no answer in time at greeting"}}}}
		})
		w.answer("dead.test", down)
		w.submit("one@us.test", "a@grey.test", "b@grey.test")
		w.submit("two@us.test", "u@dead.test")
		pass(30 * time.Minute)
		w.submit("three@us.test", "v@dead.test")
		pass(2 * time.Hour)
		reports := map[string]string{}
		for _, r := range w.tries("us.test") {
			reports[r.to] += strings.Join(strings.Fields(r.text), " ")
		}
		for to, wants := range map[string][]string{
			"one@us.test":   {"mx1.grey.test: ", ": no connection: connection refused", ": 450 4.2.0 greylisted", "The other side asks for more time. The message has been tried again and again since"},
			"two@us.test":   {": no answer in time at greeting"},
			"three@us.test": {": no answer in time at greeting"},
		} {
			for _, want := range wants {
				if !strings.Contains(reports[to], want) {
					t.Errorf("the report for %s has no %q:\n%s", to, want, reports[to])
				}
			}
			if strings.Contains(reports[to], place) {
				t.Errorf("the report for %s says why a host was chosen:\n%s", to, reports[to])
			}
		}
	})
}

// What a report advises follows from the rules that judge failures everywhere, not from the status alone: many replies have none.
func TestReportAdvises(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for domain, reply := range map[mail.Domain]string{
			"none.test": "550 no such user here", "off.test": "550 this account has been disabled", "list.test": "554 5.7.1 Service unavailable; client host blocked using zen.spamhaus.org",
			"spam.test": "554 5.7.1 message rejected as spam", "sick.test": "554 5.3.0 internal error", "loop.test": "554 5.4.6 too many hops",
		} {
			w.answer(domain, func(mail.Transaction) mail.Outcome {
				o := refused(mail.Transaction{})
				o.Reply.Lines, o.Reason = []string{reply}, "refused at rcpt: "+reply
				o.Status = o.Reply.Status()
				return o
			})
			w.submit(strings.TrimSuffix(string(domain), ".test")+"@us.test", "u@"+string(domain))
		}
		pass(time.Minute)
		want := map[string][]string{
			"none@us.test": {"The address does not exist there.", "check the address for slips"}, "off@us.test": {"The mailbox is switched off.", "another address"},
			"list@us.test": {"The other side does not trust the mail system", "show this report"}, "spam@us.test": {"takes the message for spam", "in other words"},
			"sick@us.test": {"trouble of its own", "again later"}, "loop@us.test": {"a mistake in one of the two mail systems"},
		}
		for _, a := range w.tries("us.test") {
			text := strings.Join(strings.Fields(a.text), " ")
			for _, part := range want[a.to] {
				if !strings.Contains(text, part) {
					t.Errorf("%s: no %q in\n%s", a.to, part, a.text)
				}
			}
			if strings.Contains(text, "refused at rcpt") {
				t.Errorf("%s is told in words of SMTP:\n%s", a.to, a.text)
			}
			delete(want, a.to)
		}
		if len(want) > 0 {
			t.Errorf("no report: %v", want)
		}
	})
}

// Trouble of our own is not told as the other side's.
func TestReportOfOurTrouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("ours.test", func(mail.Transaction) mail.Outcome {
			return mail.Outcome{Disposition: mail.Failed, Scope: mail.ScopeMessage, Stage: mail.StageContent, Status: mail.Status{5, 3, 0}, Reason: "the message was damaged on our disk"}
		})
		w.answer("kept.test", func(mail.Transaction) mail.Outcome {
			return mail.Outcome{Disposition: mail.Failed, Scope: mail.ScopeRecipient, Stage: mail.StagePolicy, Status: mail.Status{5, 7, 1}, Reason: "delivery.only_to of this system keeps mail from this address"}
		})
		w.submit("me@us.test", "u@ours.test", "u@kept.test")
		pass(time.Minute)
		told := w.tries("us.test")
		if len(told) != 1 || strings.Contains(strings.ToLower(told[0].text), "the other side") || !strings.Contains(told[0].text, "keeps mail from this address") || !strings.Contains(told[0].text, "damaged on our disk") {
			t.Errorf("%v", told)
		}
	})
}
