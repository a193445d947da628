package main

import (
	"bytes"
	"encoding/json"
	"io"

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
