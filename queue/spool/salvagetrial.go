package spool

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// damaged names what a rebuilding would find. It is done in memory, without contents, and nothing is kept of it.
func (v *verification) damaged(i *inspection) error {
	fresh, err := v.s.bare(vfs.NewMem(), "/trial", forSalvage)
	if err != nil {
		return err
	}
	c := newCollection(fresh)
	c.headers = true
	var lost Problems
	j := &judging{c: c, whole: v.content, lost: func(l loss) error {
		lost = append(lost, Problem{Message: l.id, What: "is missing: " + l.trace()})
		return nil
	}}
	err = errors.Join(j.all(i), fresh.closeEngine())
	for _, f := range i.found {
		v.add(0, "%s", f)
	}
	v.found = append(v.found, lost...)
	if c.entries > 0 {
		v.add(0, "%d entries of the journal cannot be read", c.entries)
	}
	return err
}
