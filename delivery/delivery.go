// Package delivery is how mail gets there: from a transaction to one outcome for each recipient.
//
// The story of a delivery, each step in the file of its name:
//
//  1. agent.go: Deliver finds the route, makes the plan, and walks it.
//  2. route.go: a recipient domain takes its MX, or the smarthosts that the configuration names.
//  3. plan.go: exchangers, health, masks and limits become ordered candidates, each with its reason. Pure.
//  4. attempt.go: the walk over the candidates; what one host could not take is kept for the next.
//  5. connect.go and dial.go: connections, staggered within one preference; the first 220 wins.
//  6. session.go, tls.go, auth.go: greeting, EHLO, STARTTLS, AUTH. site.go keeps idle sessions.
//  7. transaction.go and data.go: MAIL, RCPT, DATA or BDAT, the dot.
//  8. classify.go: one function turns a reply or an error at a stage into a verdict. docs/failures.md is its table.
//
// What is promised: Deliver returns exactly one outcome for each recipient, and a tree that holds all that was
// asked and answered. Delivered is said only after a well-formed 2xx to the final dot (or the last BDAT).
// Between the dot and its reply a recipient is in doubt, and is said to be.
//
// An Agent may be used by any number of goroutines. Deliver ends when its work is done or its context is.
package delivery
