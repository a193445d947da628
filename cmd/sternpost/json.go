package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"sternpost/mail"
)

// printJSON writes v as people and programs can both read it. A stranger's text that is not printable is escaped, which JSON itself does for some
// characters only: the output may go to a terminal.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(mail.EscapeJSON(b.Bytes()))
	return err
}

// printList writes an object with a list under key as the list comes: it may be longer than what fits in memory. Of one that is longer than limit, more is true; 0: there is no limit.
func printList[T any](w io.Writer, key string, list iter.Seq2[T, error], limit int) error {
	separator, more, n := "\n", false, 0
	if _, err := fmt.Fprintf(w, "{\n  %q: [", key); err != nil {
		return err
	}
	for v, err := range list {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			more = true
			break
		}
		text, err := json.MarshalIndent(v, "    ", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s    %s", separator, mail.EscapeJSON(text)); err != nil {
			return err
		}
		separator = ",\n"
	}
	_, err := fmt.Fprintf(w, "\n  ],\n  \"more\": %t\n}\n", more)
	return err
}
