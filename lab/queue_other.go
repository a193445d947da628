//go:build !unix

package lab

import (
	"errors"
	"net"
)

func shortenQueue(*net.TCPListener) error {
	return errors.New("the behaviour timeout is not to be had on the loopback addresses of this system; use \"no greeting\" instead")
}
