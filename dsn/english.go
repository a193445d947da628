package dsn

// english is the template of reports in English. docs/configuration.md names what a template gets: Letter.
const english = `{{define "subject"}}Your message{{with .Only}} to {{.}}{{end}} {{if eq .Headline "failed"}}could not be delivered
{{- else if eq .Headline "delayed"}}is delayed
{{- else if eq .Headline "relayed"}}was passed on
{{- else if eq .Headline "expanded"}}was sent on to several addresses
{{- else}}was delivered{{end}}{{end}}

{{define "date"}}{{.Format "Monday, 2 January 2006, 15:04"}} UTC{{end}}

{{define "text"}}{{range $n, $r := .Recipients}}{{if $n}}
* * *

{{end}}Your message to {{.Address}}{{with .Original}} (you wrote to {{.}}){{end}}
{{if eq .Action "failed"}}could not be delivered{{if eq .Cause "host"}}: host unknown{{end}}.
{{else if eq .Action "delayed"}}has not been delivered yet.
{{else if eq .Action "relayed"}}was passed on to a mail server that does not confirm deliveries.
{{else if eq .Action "expanded"}}was sent on to the several addresses that this one stands for.
{{else}}was delivered.
{{end}}
{{.Reason}}

{{if .Reply}}{{if .Host}}The mail server {{.Host}}{{else}}The other mail server{{end}} said:

{{range .Reply}}    {{.}}
{{end}}
{{end}}{{if and .Tried (or (eq .Action "failed") (eq .Action "delayed"))}}What was tried:

{{range .Tried}}    {{.Name}}{{with .Address}} ({{.}}){{end}}: {{if .Times}}{{if eq .Times 1}}once{{else}}{{.Times}} times{{end}}{{if not .Last.IsZero}}, last on {{.Last.Format "2 January 2006, 15:04"}} UTC{{end}}{{else}}not tried{{end}}{{with .Reason}}: {{.}}{{end}}
{{end}}{{if .More}}    and {{.More}} more
{{end}}
{{end}}{{if .InDoubt}}It may have been delivered {{if eq .Action "failed"}}all the same{{else}}already{{end}}: the message was sent, but the connection broke before the other side confirmed it.
{{if eq .Action "failed"}}Ask the recipient before you send it again.{{else}}It may arrive twice.{{end}}

{{end}}{{if eq .Action "failed"}}{{if eq .Cause "host"}}What you can do: look at the part of the address behind the @; it may be mistyped, or the domain is gone.
{{else if eq .Cause "no-mail"}}What you can do: this domain takes no mail at all; ask the recipient for another address.
{{else if eq .Cause "address"}}What you can do: look whether the address is mistyped, or ask the recipient for the right one.
{{else if eq .Cause "full"}}What you can do: tell the recipient by other means that the mailbox is full, and send the message again later.
{{else if eq .Cause "size"}}What you can do: send a smaller message, or put large files where the recipient can fetch them.
{{else if eq .Cause "policy"}}What you can do: the other side refuses the message by its rules. Show this report to those who run your mail system, or to the recipient.
{{else if eq .Cause "content"}}What you can do: the other side cannot take a message of this form. Send it in another, for example without special characters in addresses.
{{else if eq .Cause "route"}}What you can do: show this report to those who run your mail system, or that of the recipient; there is a mistake in it.
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
