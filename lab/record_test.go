package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRecordIsReadWhileItIsWritten(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "lab")
	if _, err := ReadRecord(directory); !errors.Is(err, ErrNoRecord) {
		t.Errorf("before it began: %v", err)
	}
	r, err := NewRecord(directory)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := r.Describe(About{Scenario: "primary-down", Began: began, DNS: "127.0.0.1:5300", Port: 2525}); err != nil {
		t.Fatal(err)
	}
	refusal := Event{Number: 1, At: began.Add(time.Minute), Since: time.Minute, Kind: EventRecipient, Host: "mx1.test", Recipient: "you@example.test", Reply: Reply{"450 no\x1b"}}
	message := Event{Number: 2, At: began.Add(time.Hour), Since: time.Hour, Kind: EventMessage, Host: "mx2.test", Message: &Received{
		Number: 1, At: began.Add(time.Hour), Since: time.Hour, Recipients: List{"you@example.test"}, Reply: Reply{"250 ok"}, Accepted: true, Content: []byte("hi\r\n"),
	}}
	r.Write(refusal)
	r.Write(message)
	if _, err := r.events.WriteString(`{"number":3`); err != nil { // a line that is being written
		t.Fatal(err)
	}
	w, err := ReadRecord(directory)
	if err != nil || !w.Running || w.About.Port != 2525 {
		t.Fatalf("%+v, %v", w, err)
	}
	var got []Event
	if err := w.Events(func(e Event) bool { got = append(got, e); return true }); err != nil {
		t.Fatal(err)
	}
	message.Message.Content = nil
	message.Reply, message.Message.Sender = List{}, ""
	if !reflect.DeepEqual(got, []Event{refusal, message}) {
		t.Errorf("read %+v %+v", got, got[1].Message)
	}
	if list, err := w.Messages(); err != nil || len(list) != 1 {
		t.Errorf("messages %+v, %v", list, err)
	}
	if content, err := w.Content(1); err != nil || string(content) != "hi\r\n" {
		t.Errorf("content %q, %v", content, err)
	}
	if _, err := w.Content(2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a message that did not come: %v", err)
	}
	var read []string
	s, err := w.Sight(func(content []byte) []Report { read = append(read, string(content)); return nil })
	if err != nil || len(read) != 1 || read[0] != "hi\r\n" {
		t.Errorf("reports were looked for in %q, %v", read, err)
	}
	e, _ := ParseExpectation("you@example.test delivered by mx2.test after 1h within 1h")
	if v := s.Check(e, 0, nil); !v.Met || !strings.Contains(v.Seen, "mx1.test said 450 no") {
		t.Errorf("%+v", v)
	}
	if _, err := NewRecord(directory); !errors.Is(err, ErrRecordInUse) {
		t.Errorf("a second lab there: %v", err)
	}
	if err := errors.Join(r.Err(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if w, err = ReadRecord(directory); err != nil || w.Running {
		t.Errorf("after its end: %+v, %v", w, err)
	}
}

func TestRecordRemovesItsOwnOnly(t *testing.T) {
	directory := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0001.eml")
	write("0002.eml.part") // of a lab that was killed
	write("events.ndjson")
	r, err := NewRecord(directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(directory, "0001.eml")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an old message is there still")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	write("0001.eml")
	write("thesis.txt")
	if _, err := NewRecord(directory); err == nil || !strings.Contains(err.Error(), "holds thesis.txt") {
		t.Errorf("a directory with other files: %v", err)
	}
	if _, err := os.Stat(filepath.Join(directory, "0001.eml")); err != nil {
		t.Error("something was removed all the same")
	}
}

func TestRecordIsBounded(t *testing.T) {
	r, err := NewRecord(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := range mostMessages + 3 {
		r.Write(Event{Kind: EventMessage, Message: &Received{Number: n + 1, Content: []byte("x")}})
	}
	r.written = mostDialogue + 1
	before := r.written
	r.Write(Event{Kind: EventCommand, Line: "NOOP"})
	if r.written != before {
		t.Error("dialogue is written beyond its bound")
	}
	r.Write(Event{Kind: EventRecipient})
	if r.written == before {
		t.Error("what is judged is not written")
	}
	r.written = mostEvents + 1
	before = r.written
	r.Write(Event{Kind: EventRecipient})
	if r.written != before {
		t.Error("something is written beyond all bounds")
	}
	if list, err := filepath.Glob(filepath.Join(r.directory, "*.eml")); err != nil || len(list) != mostMessages || !strings.HasSuffix(list[0], "0004.eml") {
		t.Errorf("%d messages from %s, %v", len(list), list[0], err)
	}
	if r.Err() != nil {
		t.Error(r.Err())
	}
}
