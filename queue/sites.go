package queue

import "time"

const (
	// leastSiteTime is how long a site is believed at least: also a domain that cannot be resolved must come to its attempt.
	leastSiteTime = 10 * time.Second
	maxSites      = 20_000    // sites whose window is remembered
	siteForgotten = time.Hour // after its last use, when there are many
	// stalledAfter is how long an attempt may last before its site counts as one that holds connections without using them.
	stalledAfter = 10 * time.Second
)

// siteFound is an answer of Deliverer.Site.
type siteFound struct {
	d    *destination
	name string
	left time.Duration // how long it is known
}

// resolve asks for the site of d, which may take as long as the DNS does.
func (s *schedule) resolve(d *destination) {
	d.resolving = true
	s.attempts.Go(func() {
		name, until := s.deliverer.Site(s.beginning, d.domain)
		s.resolved <- siteFound{d, name, time.Until(until)}
	})
}

// learn takes the answer to resolve.
func (s *schedule) learn(found siteFound) {
	d := found.d
	d.resolving = false
	d.siteUntil = s.now().Add(max(found.left, leastSiteTime))
	if d.site == nil || d.site.name != found.name {
		s.leave(d)
		d.site = s.site(found.name)
		d.site.users++
	}
	// What is configured for one destination may be more than a site gets, never less for the others.
	if limit := max(s.current().WindowLimit, d.rules(s.current()).WindowLimit); limit > d.site.window.limit {
		d.site.window = d.site.window.WithLimit(limit)
	}
	s.enqueue(d)
	s.forget(d)
}

// leave says that d leads to its site no more.
func (s *schedule) leave(d *destination) {
	if d.site != nil {
		d.site.users--
		d.site = nil
	}
}

// site finds or makes a site. A new one has proved nothing yet.
func (s *schedule) site(name string) *site {
	found := s.sites[name]
	if found == nil {
		s.pruneSites()
		c := s.current()
		found = &site{name: name, window: NewWindow(c.WindowStart, c.WindowLimit), confined: true}
		s.sites[name] = found
	}
	return found
}

// pruneSites forgets the windows of sites that were not used for a while, when there are many.
func (s *schedule) pruneSites() {
	if len(s.sites) < max(maxSites, s.siteCrowd) {
		return
	}
	now := s.now()
	for name, old := range s.sites {
		if old.users == 0 && old.underWay == 0 && old.unsettled == 0 && now.Sub(old.used) > siteForgotten {
			delete(s.sites, name)
		}
	}
	s.siteCrowd = 2 * len(s.sites)
}

// places is how many attempts may run at the same time.
func (s *schedule) places() int {
	if limit := s.current().MaxAttempts; s.handles <= 0 || limit < s.handles {
		return limit
	}
	return s.handles
}

// crowded says whether a site that is confined may not have one more attempt now. Such sites may be tarpits, however many: together they get three quarters of all places, and
// the last two of these only for their first attempts. So there is always a place for who answers, and soon one for who has not been asked yet.
func (s *schedule) crowded(st *site) bool {
	if !st.confined {
		return false
	}
	share := s.places() / 4
	if st.underWay == 0 {
		share = s.places() * 3 / 4
	}
	return s.confined >= max(share, 1)
}

// confine changes what is known of a site.
func (s *schedule) confine(st *site, confined bool) {
	switch {
	case confined == st.confined:
		return
	case confined:
		s.confined += st.underWay
	default:
		s.confined -= st.underWay
	}
	st.confined = confined
}

// findStalled confines sites whose attempts last long. What an attempt is busy with is not asked: a large message is as good as a tarpit at holding a place.
func (s *schedule) findStalled(now time.Time) {
	for r := range s.running {
		if now.Sub(r.began) > stalledAfter {
			r.site.stalled = now
			s.confine(r.site, true)
		}
	}
}

// unpark lets some of those try again that found no place for their site.
func (s *schedule) unpark() {
	for range min(len(s.parked), unparkBatch) {
		d := s.parked[0]
		s.parked[0] = nil
		s.parked = s.parked[1:]
		d.queued = false
		s.enqueue(d)
	}
}

// unparkBatch is how many destinations look for a place when one becomes free.
const unparkBatch = 16

// admit lets destinations that wait for a site look for its free places; so many as there may be.
func (s *schedule) admit(st *site) {
	for range min(len(st.waiting), max(st.free(), 0)) {
		d := st.waiting[0]
		st.waiting[0] = nil
		st.waiting = st.waiting[1:]
		d.queued = false
		s.enqueue(d)
	}
}
