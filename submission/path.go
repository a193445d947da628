package submission

import (
	"errors"
	"strings"

	"github.com/emersion/go-smtp"

	"sternpost/mail"
)

// parsePath reads the path of a MAIL or RCPT command as the client wrote it. What go-smtp makes of it has lost its quotes, and with them
// the difference between `"a@b"@c` and `a@b@c`, and between an address and parameters. utf8 says that the client asked for SMTPUTF8.
func parsePath(command string, utf8 bool) (mail.ReversePath, error) {
	text := path(command)
	if !utf8 && strings.ContainsFunc(text, func(c rune) bool { return c >= 0x80 }) {
		return mail.ReversePath{}, refusal(553, "5.6.7", "the address needs SMTPUTF8, which was not asked for") // RFC 6531 s3.5
	}
	if text == "" {
		return mail.ReversePath{}, nil
	}
	parsed, err := parseMailbox(text)
	if err != nil {
		return mail.ReversePath{}, refusal(501, "5.1.3", "the address "+reason(err))
	}
	return mail.ReversePath{Address: parsed}, nil
}

// parseMailbox reads an address, or a local-part alone, to which the intake gives a domain (RFC 6409 s4.2): until then it has none.
func parseMailbox(text string) (mail.Address, error) {
	if unquotedIndex(text, "@") < len(text) {
		return mail.ParseAddress(text)
	}
	local, err := mail.ParseLocalPart(text)
	if err != nil {
		return mail.Address{}, err
	}
	return mail.Address{Local: local}, nil
}

// path cuts the path out of a command that go-smtp has found to be one. The brackets may be missing: some clients leave them out. A source route is left
// out (RFC 5321 s3.6.1, appendix C).
func path(command string) string {
	_, rest, _ := strings.Cut(command, ":")
	rest = strings.Trim(rest, " \t\r\n")
	end := " \t"
	if strings.HasPrefix(rest, "<") {
		rest, end = rest[1:], ">"
	}
	rest = rest[:unquotedIndex(rest, end)]
	if strings.HasPrefix(rest, "@") {
		_, rest, _ = strings.Cut(rest, ":")
	}
	return rest
}

// unquotedIndex finds the first of chars outside a quoted-string, or the end of text.
func unquotedIndex(text, chars string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(chars, c) >= 0:
			return i
		}
	}
	return len(text)
}

// reason is what is wrong, without the address, which the client knows. It is short enough for a reply line (RFC 5321 s4.5.3.1.5).
func reason(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	text := mail.Escape(err.Error())
	return text[:min(len(text), 300)]
}

// recipient makes a Recipient of a path and its DSN parameters (RFC 3461 s4.1, s4.2).
func recipient(address mail.Address, o *smtp.RcptOptions) (mail.Recipient, error) {
	r := mail.Recipient{
		Address:      address,
		OriginalType: strings.ToLower(string(o.OriginalRecipientType)),
		Original:     o.OriginalRecipient,
	}
	for _, wish := range o.Notify {
		r.Notify = append(r.Notify, string(wish))
	}
	if mail.Escape(r.Original) != strings.ReplaceAll(r.Original, `\`, `\\`) {
		return mail.Recipient{}, refusal(501, "5.5.4", "ORCPT holds what cannot be printed")
	}
	return r, nil
}
