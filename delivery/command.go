package delivery

import (
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"sternpost/mail"
)

// mailOptions are the parameters of MAIL in go-smtp's words. A host without DSN gets none of those.
func (t *transaction) mailOptions() *smtp.MailOptions {
	o := &smtp.MailOptions{Size: t.payload.size, UTF8: t.needsUTF8(), Body: smtp.BodyType(t.payload.body)}
	if t.ext.dsn {
		o.Return, o.EnvelopeID = smtp.DSNReturn(t.envelope.Return), t.envelope.EnvelopeID
	}
	return o
}

func mailCommand(from mail.ReversePath, o *smtp.MailOptions, e extensions) string {
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + from.String() + ">")
	if e.sized {
		b.WriteString(" SIZE=" + strconv.FormatInt(o.Size, 10))
	}
	if o.Body != "" {
		b.WriteString(" BODY=" + string(o.Body))
	}
	if o.UTF8 {
		b.WriteString(" SMTPUTF8")
	}
	if o.Return != "" {
		b.WriteString(" RET=" + string(o.Return))
	}
	if o.EnvelopeID != "" {
		b.WriteString(" ENVID=" + mail.EncodeXtext(o.EnvelopeID))
	}
	return b.String()
}

// rcptOptions are the parameters of RCPT in go-smtp's words. A host without DSN gets none.
func (t *transaction) rcptOptions(r mail.Recipient) *smtp.RcptOptions {
	o := &smtp.RcptOptions{}
	if !t.ext.dsn {
		return o
	}
	for _, n := range r.Notify {
		o.Notify = append(o.Notify, smtp.DSNNotify(n))
	}
	o.OriginalRecipientType, o.OriginalRecipient = smtp.DSNAddressType(r.OriginalType), r.Original
	return o
}

func rcptCommand(to mail.Address, o *smtp.RcptOptions) string {
	var b strings.Builder
	b.WriteString("RCPT TO:<" + to.String() + ">")
	for i, n := range o.Notify {
		if i == 0 {
			b.WriteString(" NOTIFY=")
		} else {
			b.WriteByte(',')
		}
		b.WriteString(string(n))
	}
	if o.OriginalRecipient != "" {
		encode := mail.EncodeXtext
		if strings.EqualFold(string(o.OriginalRecipientType), "utf-8") {
			encode = mail.EncodeUTF8Xtext // RFC 6533 s3: a host refuses xtext of this type
		}
		b.WriteString(" ORCPT=" + string(o.OriginalRecipientType) + ";" + encode(o.OriginalRecipient))
	}
	return b.String()
}
