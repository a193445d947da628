package lab

import (
	"errors"
	"net"
	"testing"

	"sternpost/delivery/smtptest"
)

func TestResolver(t *testing.T) {
	for name, place := range map[string]Place{"loopback": Loopback(0, "127.0.0.1:0"), "memory": Memory(&smtptest.Network{}, 25)} {
		t.Run(name, func(t *testing.T) {
			w := NewAt(t, "primary-down", place)
			list, err := w.Resolver().LookupMX(t.Context(), "example.test")
			if err != nil || len(list) != 2 || list[0].Host != "mx1.example.test." {
				t.Errorf("%v %v", list, err)
			}
			var missing *net.DNSError
			if _, err := w.Resolver().LookupMX(t.Context(), "elsewhere.test"); !errors.As(err, &missing) || !missing.IsNotFound {
				t.Errorf("%v", err)
			}
		})
	}
}
