package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"sternpost/submission"
)

// doors are listeners that were opened before they are served, so that an agent which cannot listen does not start.
type doors struct {
	open map[submission.Endpoint]net.Listener
}

func openDoors(places []submission.Endpoint) (*doors, error) {
	d := &doors{map[submission.Endpoint]net.Listener{}}
	for _, at := range places {
		listener, err := submission.Listen(at.Network, at.Address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", at.Key(), err), d.Close())
		}
		d.open[at] = listener
	}
	return d, nil
}

// take gives one of the listeners away. It has the form of net.Listen.
func (d *doors) take(network, address string) (net.Listener, error) {
	for at, listener := range d.open {
		if at.Network == network && at.Address == address {
			delete(d.open, at)
			return listener, nil
		}
	}
	return submission.Listen(network, address)
}

// Close closes the listeners that nobody took.
func (d *doors) Close() error {
	var errs []error
	for _, listener := range d.open {
		errs = append(errs, listener.Close())
	}
	return errors.Join(errs...)
}

// withUsers is the section that is in force, with the users of another: those are read at SIGHUP.
func withUsers(c, other submission.Config) submission.Config {
	c.Users, c.UsersFile = other.Users, other.UsersFile
	return c
}

// letPass lets others go through the directory of the queue to the submission socket, and keeps them out of all else in it: what lies there is ours alone.
func letPass(directory string) error {
	list, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range list {
		about, err := entry.Info()
		if err != nil {
			return err
		}
		if about.Mode().Type() == os.ModeSymlink || submission.IsPublic(entry.Name()) || about.Mode().Perm()&0o007 == 0 {
			continue
		}
		if err := os.Chmod(filepath.Join(directory, entry.Name()), about.Mode().Perm()&^0o007); err != nil {
			return err
		}
	}
	about, err := os.Stat(directory)
	if err != nil || about.Mode().Perm()&0o011 == 0o011 {
		return err
	}
	return os.Chmod(directory, about.Mode().Perm()|0o011)
}
