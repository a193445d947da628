package dsn

// english is the template of reports in English. docs/configuration.md names what a template gets: Letter.
const english = `{{define "subject"}}Your message{{with .Only}} to {{.}}{{end}} {{if eq .Headline "failed"}}could not be delivered
{{- else if eq .Headline "delayed"}}is delayed
{{- else if eq .Headline "relayed"}}was passed on
{{- else if eq .Headline "expanded"}}was sent on to several addresses
{{- else}}was delivered{{end}}{{end}}

{{define "date"}}{{.Format "Monday, 2 January 2006, 15:04"}} UTC{{end}}

{{define "why"}}{{if eq .Cause "address"}}The address does not exist there.
{{- else if eq .Cause "inactive"}}The mailbox is switched off.
{{- else if eq .Cause "full"}}The mailbox is full.
{{- else if eq .Cause "size"}}The message is larger than the other side takes.
{{- else if eq .Cause "policy"}}The rules of the other side forbid it.
{{- else if eq .Cause "spam"}}The other side takes the message for spam.
{{- else if eq .Cause "reputation"}}The other side does not trust the mail system that sends your mail.
{{- else if eq .Cause "sender"}}The other side does not take mail from your address.
{{- else if eq .Cause "content"}}The other side cannot take a message of this form.
{{- else if eq .Cause "route"}}There is a mistake in one of the two mail systems.
{{- else if eq .Cause "tls"}}A secure connection to the other side is required, and none came about.
{{- else if eq .Cause "network"}}No connection to the other side came about.
{{- else if eq .Cause "dns"}}The name servers of the domain gave no usable answer.
{{- else if eq .Cause "trouble"}}The mail server of the other side has trouble of its own.
{{- else if eq .Cause "wait"}}The other side asks for more time.{{end}}{{end}}

{{define "text"}}{{range $n, $r := .Recipients}}{{if $n}}
* * *

{{end}}Your message to {{.Address}}{{with .Original}} (you wrote to {{.}}){{end}}
{{if eq .Action "failed"}}could not be delivered{{if eq .Cause "host"}}: host unknown{{end}}.
{{else if eq .Action "delayed"}}has not been delivered yet.
{{else if eq .Action "relayed"}}was passed on to a mail server that does not confirm deliveries.
{{else if eq .Action "expanded"}}was sent on to the several addresses that this one stands for.
{{else}}was delivered.
{{end}}
{{if or (eq .Action "failed") (eq .Action "delayed")}}{{template "why" .}}{{if .Expired}} The message has been tried again and again{{if not $.Received.IsZero}} since {{template "date" $.Received}}{{end}}.{{end}}{{end}}
{{with .Reason}}The reason, in the words of our mail server: {{.}}{{end}}

{{if .Reply}}{{if .Host}}The mail server {{.Host}}{{else}}The other mail server{{end}} said:

{{range .Reply}}    {{.}}
{{end}}
{{end}}{{if and .Tried (or (eq .Action "failed") (eq .Action "delayed"))}}What was tried:

{{range .Tried}}    {{.Name}}{{with .Address}} ({{.}}){{end}}: {{if .Times}}{{if eq .Times 1}}once{{else}}{{.Times}} times{{end}}{{if not .Last.IsZero}}, last on {{.Last.Format "2 January 2006, 15:04"}} UTC{{end}}{{else}}not tried{{end}}{{with .Reason}}: {{.}}{{end}}
{{end}}{{if .More}}    and {{.More}} more
{{end}}
{{end}}{{if .InDoubt}}It may have been delivered {{if eq .Action "failed"}}all the same{{else}}already{{end}}: the message was sent, but the connection broke before the other side confirmed it.
{{if eq .Action "failed"}}Ask the recipient before you send it again.{{else}}It may arrive twice.{{end}}

{{end}}{{if eq .Action "failed"}}{{if eq .Cause "host"}}What you can do: check the part of the address behind the @; it may be mistyped, or the domain is gone.
{{else if eq .Cause "no-mail"}}What you can do: this domain takes no mail at all; ask the recipient for another address.
{{else if eq .Cause "address"}}What you can do: check the address for slips, or ask the recipient for the right one.
{{else if eq .Cause "inactive"}}What you can do: ask the recipient for another address.
{{else if eq .Cause "full"}}What you can do: tell the recipient by other means that the mailbox is full, and send the message again later.
{{else if eq .Cause "size"}}What you can do: send a smaller message, or put large files where the recipient can fetch them.
{{else if eq .Cause "policy"}}What you can do: show this report to those who run your mail system, or to the recipient.
{{else if eq .Cause "spam"}}What you can do: send it in other words and with fewer links, or ask the recipient to allow your address.
{{else if eq .Cause "reputation"}}What you can do: show this report to those who run your mail system. Only they can mend it; the address and the message may be all right.
{{else if eq .Cause "sender"}}What you can do: check your own address for slips. If it is right, show this report to those who run your mail system.
{{else if eq .Cause "content"}}What you can do: send it in another form, for example without special characters in addresses.
{{else if eq .Cause "tls"}}What you can do: show this report to those who run your mail system, or that of the recipient.
{{else if eq .Cause "route"}}What you can do: show this report to those who run your mail system, or that of the recipient.
{{else if not .InDoubt}}What you can do: send the message again later. If that fails too, show this report to those who run your mail system.
{{end}}
It will not be tried again.
{{else if eq .Action "delayed"}}It is tried again{{if not .RetryUntil.IsZero}} until {{template "date" .RetryUntil}}{{end}}. You need not send it again.
{{if not .RetryUntil.IsZero}}If it cannot be delivered by then, another report tells you so.{{end}}
{{else if eq .Action "relayed"}}You may hear no more about it.
{{else if eq .Action "expanded"}}You get no word when it arrives there. If it fails for one of them, another report tells you so, unless you did not want that.
{{end}}
{{end}}
This report was made by the mail system at {{.Reporter}}. Details for its administrators are attached.
{{if eq .Returned "message"}}Your message is attached.
{{else if eq .Returned "header"}}The header of your message is attached.
{{else if eq .Returned "long"}}Your message is too long to be returned; its header is attached.
{{else if eq .Returned "unfit"}}Your message has lines or characters that cannot be returned unchanged; its header is attached.
{{else if eq .Returned "beginning"}}Your message is too long to be returned; the beginning of its header is attached.
{{end}}{{end}}`
