//go:build crash

package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// polite and later are two tempers of the servers: one takes everything, the other nothing for now.
const (
	polite = ""
	later  = "mail 451 4.3.0 not now"
)

// needs skips a test where it is not root, or a program is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this needs root")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is missing; Debian has it in the package strace, mount or e2fsprogs", name)
		}
	}
}

// volume is a file system of our own.
type volume struct {
	dir     string
	options []string // of mount
}

// newVolume mounts a file system; it is unmounted when the test ends, after the agents, which are started later.
func newVolume(t *testing.T, options ...string) *volume {
	t.Helper()
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		t.Fatal(err)
	}
	v := &volume{dir: filepath.Join(dir, "v"), options: options}
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("mount", append(v.options, v.dir)...).CombinedOutput(); err != nil {
		t.Skipf("this machine does not let us mount: %v: %s", err, said)
	}
	t.Cleanup(func() {
		v.unmount(t)
		os.RemoveAll(dir)
	})
	return v
}

// newDisk is a volume of ext4 in a file.
func newDisk(t *testing.T) *volume {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 512<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", image)
	return newVolume(t, "-o", "loop", image)
}

func (v *volume) unmount(t *testing.T) {
	t.Helper()
	run(t, "umount", v.dir)
}

// cut takes the power away: what is not on the disk yet never comes there, the journal of the file system included.
func (v *volume) cut(t *testing.T) {
	t.Helper()
	const (
		shutdown   = 0x8004587d // FS_IOC_SHUTDOWN of linux/fs.h
		noLogFlush = 2
	)
	dir, err := os.Open(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, noLogFlush); err != nil {
		t.Fatal(err)
	}
}

// restore mounts what was cut, as the machine would when it starts again. A write that failed before the cut is sometimes still told to those who sync on
// the new mount, which no new machine would know of; then it is mounted once more.
func (v *volume) restore(t *testing.T) {
	t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		v.unmount(t)
		run(t, "mount", append(v.options, v.dir)...)
		err := v.sync(t)
		if err == nil {
			return
		}
		if try == tries {
			t.Fatal(err)
		}
		t.Logf("mounting once more: %v", err)
	}
}

func (v *volume) sync(t *testing.T) error {
	t.Helper()
	dir, err := os.Open(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	return dir.Sync()
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if said, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, said)
	}
}
