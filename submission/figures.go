package submission

import "sync/atomic"

// figures are what the server counts for whoever watches it.
type figures struct {
	connections  atomic.Int64
	turnedAway   atomic.Uint64
	failedLogins atomic.Uint64
}

// Figures are the state of a Server at one moment, and what it has counted since it was made.
type Figures struct {
	Connections  int    // open now, on all listeners
	TurnedAway   uint64 // connections that were not let in
	FailedLogins uint64
}

// Figures may be called at any time.
func (s *Server) Figures() Figures {
	return Figures{int(s.figures.connections.Load()), s.figures.turnedAway.Load(), s.figures.failedLogins.Load()}
}
