package submission

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// What is refused has a NUL, or a CR or LF that stands alone, in whatever pieces it comes; the rest is passed on as it is.
func FuzzOctets(f *testing.F) {
	for _, text := range []string{"", "a\r\nb", "\r", "\n", "\r\r\n", "\r\n\n", "a\x00", "\r\n\r\n", "\r\n.\r\n", "\n\ra"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bare := strings.ReplaceAll(text, "\r\n", "")
		wrong := strings.ContainsAny(bare, "\r\n\x00")
		for name, content := range map[string]io.Reader{
			"whole": strings.NewReader(text), "by one": iotest.OneByteReader(strings.NewReader(text)), "by three": chunks{strings.NewReader(text), 3},
			"with EOF": iotest.DataErrReader(strings.NewReader(text)),
		} {
			var got bytes.Buffer
			_, err := io.Copy(&got, checked(content))
			if (err != nil) != wrong || err == nil && got.String() != text {
				t.Errorf("%q %s: %q, %v", text, name, got.String(), err)
			}
			if strings.Contains(got.String(), "\x00") {
				t.Errorf("%q %s: a NUL is passed on", text, name)
			}
		}
	})
}
