package lab

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
)

// What a greylister says is the time that is left, or the scenario's own text.
func TestGreylistSays(t *testing.T) {
	for behaviour, want := range map[string]string{
		"greylist for 2s":                  "450 4.7.1 greylisted, come back in 2s",
		`greylist for 2s "come some time"`: "450 4.7.1 come some time",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := NewAt(t, `
title = "A greylister"
zone = "example.test. A 127.0.1.1"
[[host]]
name = "example.test"
behaviour = ['`+behaviour+`']
`, Memory(&smtptest.Network{}, 25))
			c := dialHost(t, w.World, "example.test")
			err := trySend(c, "app@client.test", "you@example.test", []byte("hello\r\n"))
			if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "450 4.7.1 ")) || !strings.HasPrefix(err.Error(), "450 ") {
				t.Errorf("%s: it says %v, want %s", behaviour, err, want)
			}
			if err := c.Reset(); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
			send(t, c, "app@client.test", "you@example.test", []byte("hello\r\n"))
		})
	}
}
