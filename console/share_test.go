package console

import "testing"

// One user has half of the places at most; others, and whoever administers, have theirs.
func TestShares(t *testing.T) {
	var s shares
	for n := range maxOfUser {
		if !s.take("shop") {
			t.Fatalf("request %d was refused", n)
		}
	}
	if s.take("shop") {
		t.Error("one request too many")
	}
	for range maxCallers {
		if !s.take("") {
			t.Fatal("whoever administers was refused")
		}
	}
	if !s.take("crm") {
		t.Error("another user was refused")
	}
	s.giveBack("shop")
	if !s.take("shop") {
		t.Error("a place that was given back is not there")
	}
	for range maxOfUser {
		s.giveBack("shop")
	}
	if n := len(s.used); n != 2 {
		t.Errorf("%d users are remembered, want 2", n)
	}
}
