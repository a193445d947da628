package queue

// Window is how many attempts a site gets at the same time. It begins small, grows while the site takes what it gets, and
// shrinks when it cannot. It is a value: every change is a function.
type Window struct {
	size  float64
	limit int
}

// NewWindow is the window of a site that is not known yet.
func NewWindow(start, limit int) Window {
	return Window{size: float64(min(start, limit)), limit: limit}
}

// Size is the number of attempts that may run now; at least 1.
func (w Window) Size() int { return max(int(w.size), 1) }

// Grow follows a success while more waited for the site than its window let through; what was not needed proves nothing. A windowful of them makes it larger by one.
func (w Window) Grow() Window {
	w.size = min(w.size+1/w.size, float64(w.limit))
	return w
}

// Shrink follows a connection or handshake that failed, or a remote that asks to slow down: to half.
func (w Window) Shrink() Window {
	w.size = max(w.size/2, 1)
	return w
}

// WithLimit is w under another limit.
func (w Window) WithLimit(limit int) Window {
	w.limit = limit
	w.size = min(w.size, float64(limit))
	return w
}
