package wire

import "testing"

// A connection that ends gives back what it held, once.
func TestAccounts(t *testing.T) {
	b := NewBudget(10, 100)
	one, other := b.account(), b.account()
	for _, step := range []struct {
		what string
		ok   bool
	}{
		{"small", one.take(10, false) && one.take(10, false)},
		{"first", one.take(60, false)},
		{"too much", !other.take(41, false)},
		{"fits", other.take(40, false)},
		{"full", !one.take(11, false)},
	} {
		if !step.ok {
			t.Errorf("%s: held are %d", step.what, b.held)
		}
	}
	_, freed := other.Reserve(50)
	other.Settled(5) // takes no room
	other.Settled(40)
	<-freed
	if ok, _ := other.Reserve(40); !ok || one.take(11, false) || other.take(40, false) || !other.take(40, true) || other.take(40, true) {
		t.Error("room is kept for the one message that was asked for again")
	}
	other.Settled(40)
	if ok, _ := other.Reserve(40); !ok {
		t.Error("no room for one that is asked for again")
	}
	other.Unreserve()
	other.Unreserve()
	one.Close()
	one.Settled(60) // too late
	one.Close()
	if b.held != 0 {
		t.Errorf("held are %d in the end", b.held)
	}
	if !other.take(1000, false) || other.take(11, false) {
		t.Error("one of any size has room, and no second")
	}
	var none *Account
	none.Settled(100)
	none.Close()
	if !none.take(1<<40, false) {
		t.Error("without a budget there is room")
	}
}
