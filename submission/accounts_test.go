package submission

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHashes(t *testing.T) {
	hash, err := HashPassword("pässword")
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHash(hash)
	if err != nil || !h.matches("pässword") || h.matches("password") {
		t.Errorf("%s: %+v, %v", hash, h, err)
	}
	// Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -e
	reference := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if h, err = parseHash(reference); err != nil || !h.matches("password") {
		t.Errorf("the hash of the reference implementation does not match: %v", err)
	}
	key := strings.Repeat("A", 43)
	for _, text := range []string{
		"", "password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$" + key, "$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$" + key,
		"$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQ$" + key, "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$" + key, "$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$" + key,
		"$argon2id$v=19$m=262144,t=16,p=1$c29tZXNhbHQ$" + key, "$argon2id$v=19$m=65536,t=2,p=0$c29tZXNhbHQ$" + key, "$argon2id$v=19$m=65536,t=2,p=255$c29tZXNhbHQ$" + key,
		"$argon2id$v=19$m=65536,t=2,p=1$c29t$" + key, "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=19$m=65536,t=2,p=1,x=1$c29tZXNhbHQ$" + key,
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$" + key + "$", "$argon2id$v=19$m=65536,t=2,p=1$!$" + key,
	} {
		if _, err := parseHash(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	for _, password := range []string{"", strings.Repeat("x", mostPassword+1)} {
		if _, err := HashPassword(password); err == nil {
			t.Errorf("a password of %d octets is taken", len(password))
		}
	}
}

func TestAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccounts()
		a.set([]User{cheap("anna", "one")})
		check := func(name, password string, want bool) {
			t.Helper()
			if right, err := a.check(t.Context(), name, password); right != want || err != nil {
				t.Errorf("%s, %s: %v, %v", name, password, right, err)
			}
		}
		if a.recall("anna", "one") {
			t.Error("known before it was checked")
		}
		check("anna", "two", false)
		check("nobody", "one", false)
		check("anna", "one", true)
		if !a.recall("anna", "one") || a.recall("anna", "two") || a.recall("nobody", "one") {
			t.Error("what was right is not what is remembered")
		}
		time.Sleep(rememberedFor)
		if a.recall("anna", "one") {
			t.Error("it is remembered for ever")
		}
		check("anna", "one", true)
		a.set([]User{cheap("anna", "two")})
		if a.recall("anna", "one") {
			t.Error("the old password is remembered")
		}
		check("anna", "one", false)
		check("anna", "two", true)
	})
}

func TestTriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all tries
		for n := range 3 * mostCounted {
			all.failed(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), "")
		}
		if len(all.counted) > mostCounted {
			t.Errorf("%d are counted", len(all.counted))
		}
		if first, last := delayOf(1), delayOf(100); first != firstDelay || last != lastDelay {
			t.Errorf("delays %s, %s", first, last)
		}
	})
}

// A name that is not there has no password, whatever its hash would be; one that was taken away while its password was checked is not remembered; and what is kept of a password tells
// it from those of others.
func TestStrangersHaveNoPassword(t *testing.T) {
	a := newAccounts()
	a.set([]User{cheap("anna", "one")})
	hash, err := parseHash(cheap("x", "open").Password)
	if err != nil {
		t.Fatal(err)
	}
	a.nobody.Store(&hash)
	if right, err := a.check(t.Context(), "stranger", "open"); right || err != nil || a.recall("stranger", "open") {
		t.Errorf("a stranger is let in: %v, %v", right, err)
	}
	a.set(nil)
	if a.remember("anna", "one"); a.recall("anna", "one") {
		t.Error("a user who was taken away is remembered")
	}
	if a.mark("anna", "one") == a.mark("berta", "one") || a.mark("ab", "c") == a.mark("a", "bc") {
		t.Error("two users have the same mark")
	}
	if a.mark("anna", "one") == newAccounts().mark("anna", "one") {
		t.Error("what is kept of a password is the same in each process")
	}
}
