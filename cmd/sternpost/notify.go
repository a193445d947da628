package main

import (
	"net"
	"slices"
	"strings"
)

// notify tells the service manager how the agent stands, by the protocol of systemd's sd_notify: a datagram to the socket that NOTIFY_SOCKET names.
// Without that variable, and for one that nobody hears, it does nothing: an agent must run without anybody to tell.
func notify(environ []string, state string) {
	i := slices.IndexFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "NOTIFY_SOCKET=") })
	if i < 0 {
		return
	}
	name := strings.TrimPrefix(environ[i], "NOTIFY_SOCKET=") // a leading @ is the abstract namespace, for package net too
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}
