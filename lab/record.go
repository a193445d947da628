package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// The files of a record. A message is in NNNN.eml, by its number.
const (
	recordAbout  = "lab.json"
	recordEvents = "events.ndjson"
	recordLock   = "lock"
)

// recordName is the name of a file of a record, or of one that a lab was killed at writing.
var recordName = regexp.MustCompile(`^(lab\.json|events\.ndjson|\d{4,}\.eml)(\.part)?$`)

// Bounds of the events of a record: beyond the first only what expectations are judged by is written, beyond the second nothing.
const (
	mostDialogue = 64 << 20
	mostEvents   = 2 * mostDialogue
)

// ErrRecordInUse is that another lab writes there.
var ErrRecordInUse = errors.New("another lab runs there")

// About is what a record says of its lab.
type About struct {
	Scenario string    `json:"scenario"`
	Title    string    `json:"title"`
	Began    time.Time `json:"began"`
	DNS      string    `json:"dns"`  // address of the DNS server
	Port     int       `json:"port"` // of the exchangers
	PID      int       `json:"pid"`
	Text     string    `json:"text"` // the scenario file
}

// Record is a directory in which a lab writes down what happens and what arrives, so that other programs can see it while the lab runs and afterwards: about
// the lab in lab.json, each event as a line of events.ndjson, each message as an .eml file. A Record belongs to one lab; its methods are called one at a time.
type Record struct {
	directory string
	lock      *os.File
	events    *os.File
	written   int64
	sizes     []int64 // of the messages that are there; the last is number
	number    int
	octets    int64
	err       error // the first
}

// NewRecord begins a record, and removes what an earlier lab left there. A directory that holds anything else is refused.
func NewRecord(directory string) (*Record, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockRecord(directory)
	if err != nil {
		return nil, err
	}
	r := &Record{directory: directory, lock: lock}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Record) begin() (err error) {
	if err := clearRecord(r.directory); err != nil {
		return err
	}
	r.events, err = os.OpenFile(filepath.Join(r.directory, recordEvents), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return err
}

// Describe says what lab it is. From then on ReadRecord finds it. It may be called while Write is.
func (r *Record) Describe(about About) error {
	text, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(r.directory, recordAbout), append(text, '\n'))
}

// lockRecord takes the directory for this process. A reader has the lock for a moment only.
func lockRecord(directory string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(directory, recordLock), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	const tries = 20
	for range tries {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%s: %w", directory, ErrRecordInUse)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// clearRecord removes the files of a record, if there are no others.
func clearRecord(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	var old []string
	for _, e := range entries {
		switch name := e.Name(); {
		case name == recordLock:
		case e.Type().IsRegular() && recordName.MatchString(name):
			old = append(old, name)
		default:
			return fmt.Errorf("%s holds %s, which is of no lab; choose an empty directory", directory, name)
		}
	}
	for _, name := range old {
		if err := os.Remove(filepath.Join(directory, name)); err != nil {
			return err
		}
	}
	return nil
}

// writeWhole makes a file that others see whole or not at all.
func writeWhole(path string, octets []byte) error {
	temporary := path + ".part"
	if err := os.WriteFile(temporary, octets, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// Write notes an event. It keeps the first error, which Err returns, and does nothing after it.
func (r *Record) Write(e Event) {
	if r.err == nil {
		r.err = r.write(e)
	}
}

func (r *Record) write(e Event) error {
	judged := e.Kind == EventMessage || e.Kind == EventRecipient
	if r.written > mostEvents || r.written > mostDialogue && !judged {
		return nil
	}
	if e.Message != nil {
		if err := r.writeMessage(*e.Message); err != nil {
			return err
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := r.events.Write(append(line, '\n'))
	r.written += int64(n)
	return err
}

// writeMessage keeps as much as a world does.
func (r *Record) writeMessage(m Received) error {
	if err := writeWhole(filepath.Join(r.directory, EMLName(m.Number)), m.Content); err != nil {
		return err
	}
	r.number = m.Number
	r.sizes = append(r.sizes, int64(len(m.Content)))
	r.octets += int64(len(m.Content))
	for len(r.sizes) > mostMessages || r.octets > mostOctets && len(r.sizes) > 1 {
		oldest := r.number - len(r.sizes) + 1
		if err := os.Remove(filepath.Join(r.directory, EMLName(oldest))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.octets -= r.sizes[0]
		r.sizes = r.sizes[1:]
	}
	return nil
}

// EMLName is the name of the file of a message.
func EMLName(number int) string { return fmt.Sprintf("%04d.eml", number) }

// Err is the first error of Write.
func (r *Record) Err() error { return r.err }

// Close ends the record. Its files stay.
func (r *Record) Close() error {
	var errs []error
	if r.events != nil {
		errs = append(errs, r.events.Close())
	}
	return errors.Join(append(errs, r.lock.Close())...)
}
