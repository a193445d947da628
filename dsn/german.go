package dsn

// german is the template of reports in German.
const german = `{{define "subject"}}Ihre Nachricht{{with .Only}} an {{.}}{{end}} {{if eq .Headline "failed"}}konnte nicht zugestellt werden
{{- else if eq .Headline "delayed"}}ist verzögert
{{- else if eq .Headline "relayed"}}wurde weitergegeben
{{- else if eq .Headline "expanded"}}wurde an mehrere Adressen weitergeleitet
{{- else}}wurde zugestellt{{end}}{{end}}

{{define "date"}}{{.Format "02.01.2006, 15:04"}} Uhr (UTC){{end}}

{{define "why"}}{{if eq .Cause "address"}}Die Adresse gibt es dort nicht.
{{- else if eq .Cause "inactive"}}Das Postfach ist abgeschaltet.
{{- else if eq .Cause "full"}}Das Postfach ist voll.
{{- else if eq .Cause "size"}}Die Nachricht ist größer, als die andere Seite annimmt.
{{- else if eq .Cause "policy"}}Die Regeln der anderen Seite verbieten sie.
{{- else if eq .Cause "spam"}}Die andere Seite hält die Nachricht für Spam.
{{- else if eq .Cause "reputation"}}Die andere Seite traut dem Mailsystem nicht, das Ihre Nachrichten sendet.
{{- else if eq .Cause "sender"}}Die andere Seite nimmt von Ihrer Adresse nichts an.
{{- else if eq .Cause "content"}}Die andere Seite kann eine Nachricht dieser Form nicht annehmen.
{{- else if eq .Cause "route"}}In einem der beiden Mailsysteme ist ein Fehler.
{{- else if eq .Cause "tls"}}Eine sichere Verbindung zur anderen Seite ist verlangt, und es kam keine zustande.
{{- else if eq .Cause "network"}}Zur anderen Seite kam keine Verbindung zustande.
{{- else if eq .Cause "dns"}}Die Nameserver der Domain geben keine brauchbare Antwort.
{{- else if eq .Cause "trouble"}}Der Mailserver der anderen Seite hat selbst eine Störung.
{{- else if eq .Cause "wait"}}Die andere Seite bittet um mehr Zeit.{{end}}{{end}}

{{define "text"}}{{range $n, $r := .Recipients}}{{if $n}}
* * *

{{end}}Ihre Nachricht an {{.Address}}{{with .Original}} (Sie schrieben an {{.}}){{end}}
{{if eq .Action "failed"}}konnte nicht zugestellt werden{{if eq .Cause "host"}}: Host unbekannt (host unknown){{end}}.
{{else if eq .Action "delayed"}}ist noch nicht zugestellt.
{{else if eq .Action "relayed"}}wurde an einen Mailserver weitergegeben, der Zustellungen nicht bestätigt.
{{else if eq .Action "expanded"}}wurde an die Adressen weitergeleitet, für die diese steht.
{{else}}wurde zugestellt.
{{end}}
{{if or (eq .Action "failed") (eq .Action "delayed")}}{{template "why" .}}{{if .Expired}} Es wurde{{if not $.Received.IsZero}} seit dem {{template "date" $.Received}}{{end}} immer wieder versucht.{{end}}{{end}}
{{with .Reason}}Der Grund, wie ihn unser Mailserver nennt: {{.}}{{end}}

{{if .Reply}}{{if .Host}}Der Mailserver {{.Host}}{{else}}Der andere Mailserver{{end}} sagte dazu:

{{range .Reply}}    {{.}}
{{end}}
{{end}}{{if and .Tried (or (eq .Action "failed") (eq .Action "delayed"))}}Was versucht wurde:

{{range .Tried}}    {{.Name}}{{with .Address}} ({{.}}){{end}}: {{if .Times}}{{if eq .Times 1}}einmal{{else}}{{.Times}}-mal{{end}}{{if not .Last.IsZero}}, zuletzt am {{template "date" .Last}}{{end}}{{else}}nicht versucht{{end}}{{with .Reason}}: {{.}}{{end}}
{{end}}{{if .More}}    und {{.More}} weitere
{{end}}
{{end}}{{if .InDoubt}}Vielleicht ist sie {{if eq .Action "failed"}}trotzdem{{else}}schon{{end}} angekommen: Sie wurde übertragen, aber die Verbindung brach ab, bevor die andere Seite sie bestätigte.
{{if eq .Action "failed"}}Fragen Sie den Empfänger, bevor Sie sie noch einmal senden.{{else}}Sie kann doppelt ankommen.{{end}}

{{end}}{{if eq .Action "failed"}}{{if eq .Cause "host"}}Was Sie tun können: Prüfen Sie den Teil der Adresse hinter dem @; er kann einen Tippfehler haben, oder es gibt die Domain nicht mehr.
{{else if eq .Cause "no-mail"}}Was Sie tun können: Diese Domain nimmt keine E-Mail an; fragen Sie den Empfänger nach einer anderen Adresse.
{{else if eq .Cause "address"}}Was Sie tun können: Prüfen Sie die Adresse auf Tippfehler, oder fragen Sie den Empfänger nach der richtigen.
{{else if eq .Cause "inactive"}}Was Sie tun können: Fragen Sie den Empfänger nach einer anderen Adresse.
{{else if eq .Cause "full"}}Was Sie tun können: Sagen Sie dem Empfänger auf anderem Weg, dass sein Postfach voll ist, und senden Sie die Nachricht später noch einmal.
{{else if eq .Cause "size"}}Was Sie tun können: Senden Sie eine kleinere Nachricht, oder legen Sie große Dateien dort ab, wo der Empfänger sie abholen kann.
{{else if eq .Cause "policy"}}Was Sie tun können: Zeigen Sie diesen Bericht denen, die Ihr Mailsystem betreiben, oder dem Empfänger.
{{else if eq .Cause "spam"}}Was Sie tun können: Senden Sie sie in anderen Worten und mit weniger Links, oder bitten Sie den Empfänger, Ihre Adresse zuzulassen.
{{else if eq .Cause "reputation"}}Was Sie tun können: Zeigen Sie diesen Bericht denen, die Ihr Mailsystem betreiben. Nur sie können es beheben; Adresse und Nachricht sind vielleicht in Ordnung.
{{else if eq .Cause "sender"}}Was Sie tun können: Prüfen Sie Ihre eigene Adresse auf Tippfehler. Ist sie richtig, zeigen Sie diesen Bericht denen, die Ihr Mailsystem betreiben.
{{else if eq .Cause "content"}}Was Sie tun können: Senden Sie sie in einer anderen Form, zum Beispiel ohne Sonderzeichen in Adressen.
{{else if eq .Cause "tls"}}Was Sie tun können: Zeigen Sie diesen Bericht denen, die Ihr Mailsystem oder das des Empfängers betreiben.
{{else if eq .Cause "route"}}Was Sie tun können: Zeigen Sie diesen Bericht denen, die Ihr Mailsystem oder das des Empfängers betreiben.
{{else if not .InDoubt}}Was Sie tun können: Senden Sie die Nachricht später noch einmal. Geht auch das nicht, zeigen Sie diesen Bericht denen, die Ihr Mailsystem betreiben.
{{end}}
Es wird nicht weiter versucht.
{{else if eq .Action "delayed"}}Es wird weiter versucht{{if not .RetryUntil.IsZero}}, bis {{template "date" .RetryUntil}}{{end}}. Sie müssen sie nicht noch einmal senden.
{{if not .RetryUntil.IsZero}}Gelingt es bis dahin nicht, sagt Ihnen das ein weiterer Bericht.{{end}}
{{else if eq .Action "relayed"}}Vielleicht hören Sie nicht mehr davon.
{{else if eq .Action "expanded"}}Sie erfahren nicht, wann sie dort ankommt. Gelingt es bei einer davon nicht, sagt Ihnen das ein weiterer Bericht, wenn Sie das nicht abgewählt haben.
{{end}}
{{end}}
Diesen Bericht hat das Mailsystem {{.Reporter}} geschrieben. Einzelheiten für seine Betreiber hängen an.
{{if eq .Returned "message"}}Ihre Nachricht hängt an.
{{else if eq .Returned "header"}}Der Kopf Ihrer Nachricht hängt an.
{{else if eq .Returned "long"}}Ihre Nachricht ist zu lang für diesen Bericht; ihr Kopf hängt an.
{{else if eq .Returned "unfit"}}Ihre Nachricht hat Zeilen oder Zeichen, die nicht unverändert zurückgegeben werden können; ihr Kopf hängt an.
{{else if eq .Returned "beginning"}}Ihre Nachricht ist zu lang für diesen Bericht; der Anfang ihres Kopfes hängt an.
{{end}}{{end}}`
