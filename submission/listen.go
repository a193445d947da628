package submission

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Endpoint is where a listener is: what net.Listen wants to know.
type Endpoint struct {
	Network, Address string
	key              string // that it comes from
	kind             kind
}

// Key is the key of the configuration that it comes from, for errors.
func (e Endpoint) Key() string { return "submission." + e.key }

const (
	networkTCP    = "tcp"
	networkSocket = "unix"
	// noSocket is the value of submission.socket that means none.
	noSocket = "none"
	// publicFolder is the part of queue.directory that every local user may enter.
	publicFolder = "public"
	socketFile   = "submit.sock"
	// longestSocket is how long the path of a Unix socket may be (sun_path, with its final zero).
	longestSocket = 107
)

// SocketPath is where the submission socket is, for a queue in directory; empty: there is none.
func (c Config) SocketPath(directory string) string {
	switch {
	case c.Socket == noSocket || c.Socket == "" && directory == "":
		return ""
	case c.Socket == "":
		return filepath.Join(directory, publicFolder, socketFile)
	}
	return c.Socket
}

// IsPublic says whether the entry of this name in queue.directory is the folder that everybody may enter.
func IsPublic(name string) bool { return name == publicFolder }

// Endpoints are all places where mail is listened for, for a queue in directory.
func (c Config) Endpoints(directory string) []Endpoint {
	var list []Endpoint
	for _, address := range c.Listen {
		list = append(list, Endpoint{networkTCP, address, "listen", kindPlain})
	}
	for _, address := range c.ListenTLS {
		list = append(list, Endpoint{networkTCP, address, "listen_tls", kindTLS})
	}
	if path := c.SocketPath(directory); path != "" {
		list = append(list, Endpoint{networkSocket, path, "socket", kindSocket})
	}
	return list
}

// Listen is net.Listen, but for sockets: one that nobody listens on any more is replaced, and every local user may write to the new one.
func Listen(network, address string) (net.Listener, error) {
	if network != networkSocket {
		return net.Listen(network, address)
	}
	return listenSocket(address)
}

func listenSocket(path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("the path %s is longer than the %d octets that the system allows", path, longestSocket)
	}
	if err := openFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeDead(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen(networkSocket, path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// openFolder makes the directory of the socket, if it is not there, and lets everybody into our folder in queue.directory. A directory that somebody else has made keeps its mode.
func openFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if filepath.Base(folder) != publicFolder {
		return nil
	}
	return os.Chmod(folder, 0o755) // whatever our umask is
}

// removeDead removes a socket that a process has left behind. One that answers belongs to somebody, and what is no socket is none of ours.
func removeDead(path string) error {
	about, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if about.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is in the way: it is no socket", path)
	}
	conn, err := net.Dial(networkSocket, path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another process listens on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("whether somebody listens on %s cannot be told: %w", path, err)
	}
	return os.Remove(path)
}

// uidOf asks the kernel whose process is at the other end of a Unix socket (SO_PEERCRED); -1: it is none, or does not say.
func uidOf(conn net.Conn) int {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return -1
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1
	}
	uid := -1
	err = raw.Control(func(handle uintptr) {
		if peer, err := unix.GetsockoptUcred(int(handle), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(peer.Uid)
		}
	})
	if err != nil {
		return -1
	}
	return uid
}
