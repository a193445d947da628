package spool

import (
	"sternpost/mail"
	"sternpost/queue"
)

// takeFrom leases up to most rows of a destination that are due: priority by priority, and from each sender one in turn.
func (l *look) takeFrom(name mail.Domain, now uint64, most int) []row {
	d := l.s.destination(name)
	d.known = false
	var rows []row
	for p := range queue.Report + 1 {
		if len(rows) < most {
			rows = append(rows, l.takePriority(d, row{destination: name, priority: byte(p), due: now}, most-len(rows))...)
		}
	}
	return rows
}

// takePriority goes round the senders of one priority until nobody has anything due. at.due is now.
func (l *look) takePriority(d *destination, at row, most int) []row {
	start := d.turn[at.priority]
	line := l.line(at, start, turns, most)
	line = append(line, l.line(at, 0, start, most-len(line))...)
	var rows []row
	for len(line) > 0 && len(rows) < most {
		var still []row
		for _, r := range line[:min(len(line), most-len(rows))] {
			l.s.take(r)
			rows = append(rows, r)
			d.turn[at.priority] = int(r.turn) + 1
			if next, ok := l.free(r); ok && next.priority == r.priority && next.turn == r.turn && next.due <= at.due {
				still = append(still, next)
			}
		}
		line = still
	}
	return rows
}

// line is the first due row of each sender whose turn is in [from, to).
func (l *look) line(at row, from, to, most int) []row {
	var rows []row
	for from < to && len(rows) < most {
		r, ok := l.free(row{destination: at.destination, priority: at.priority, turn: uint16(from)})
		if !ok || r.priority != at.priority || int(r.turn) >= to {
			break
		}
		from = int(r.turn) + 1
		if r.due <= at.due {
			rows = append(rows, r)
		}
	}
	return rows
}
