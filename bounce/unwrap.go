package bounce

import (
	"regexp"
	"strconv"
	"strings"

	"sternpost/mail"
)

var (
	// repliedBy finds the host in the words of Postfix, Exim and Google: "host mx.example.net[192.0.2.1] said: 550 …", "server for … by mx.example.net.".
	repliedBy = regexp.MustCompile(`\b(?:host|by|with) ([A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,})\.? ?[\[(]`)
	// coded finds a reply in the words of an agent: a code and, most often, a status behind it.
	coded = regexp.MustCompile(`(?:^|[\s:#'"\[(])([45][0-9][0-9])(?:[ -]+|[:;] *)(?:#?([245]\.[0-9]{1,3}\.[0-9]{1,3})\b)?`)
	// stated finds a status alone.
	stated = regexp.MustCompile(`(?:^|[\s(#:])([245]\.[0-9]{1,3}\.[0-9]{1,3})\b`)
	// consequence finds what a server says to the commands that were on their way when it refused all recipients (RFC 5321 s4.1.4).
	consequence = regexp.MustCompile(`(?i) (?:503[ -]|554[ -](?:5\.5\.1 )?(?:error: )?no valid recipients)`)
	// answered is where the words of an agent end and those of its peer begin.
	answered = regexp.MustCompile(`(?i) said: |remote host said: |refused to talk to me: |other server returned was: |response (?:from the remote server )?was: |remote protocol error: |^[245]\.[0-9]+\.[0-9]+ - [a-z ]+ |after (?:end of data|[A-Z ]+)[^ ]*(?: [A-Z]+=\S+)*: `)
)

// unwrap takes the reply of a remote server out of the words of the agent that reports it. What cannot be found stays zero; the words stay all.
func unwrap(diagnostic string) Failure {
	if len(diagnostic) > maxText {
		diagnostic = diagnostic[:maxText]
	}
	f := Failure{Stage: toldStage(diagnostic)}
	if match := repliedBy.FindStringSubmatch(diagnostic); match != nil {
		f.Host = match[1]
	}
	reply := diagnostic
	if place := answered.FindStringIndex(diagnostic); place != nil {
		reply = diagnostic[place[1]:]
	}
	if match := coded.FindStringSubmatch(reply); match != nil {
		f.Code, _ = strconv.Atoi(match[1]) // three digits
		f.Status, _ = mail.ParseStatus(match[2])
	}
	if match := stated.FindStringSubmatch(reply); match != nil && f.Status.IsZero() {
		f.Status, _ = mail.ParseStatus(match[1]) // zero where there is none
	}
	if place := consequence.FindStringIndex(reply); place != nil && place[0] > 0 {
		reply = reply[:place[0]]
	}
	// What Postfix quotes of a local program is no command of SMTP.
	reply = strings.Replace(reply, " Command output:", "", 1)
	if strings.TrimSpace(reply) != "" {
		f.Lines = []string{reply}
	}
	return f
}

// toldStage is the stage that an agent names: Postfix "(in reply to RCPT TO command)", Exim "after end of data:", IronPort, MailChannels and others "[RCPT_TO]".
func toldStage(diagnostic string) mail.Stage {
	text := strings.ToLower(strings.ReplaceAll(diagnostic, "_", " "))
	for _, told := range []struct {
		words string
		stage mail.Stage
	}{
		{"in reply to end of data", mail.StageDot}, {"after end of data", mail.StageDot}, {"after i sent the message", mail.StageDot},
		{"from remote server for text command", mail.StageDot}, {"in reply to data", mail.StageData}, {"in reply to rcpt to", mail.StageRcpt}, {"after rcpt to", mail.StageRcpt},
		{"[rcpt to]", mail.StageRcpt}, {"does not like recipient", mail.StageRcpt}, {"in reply to mail from", mail.StageMail}, {"after mail from", mail.StageMail},
		{"[mail from]", mail.StageMail}, {"but sender was rejected", mail.StageMail}, {"in reply to ehlo", mail.StageHello}, {"in reply to helo", mail.StageHello},
		{"after ehlo", mail.StageHello}, {"after helo", mail.StageHello}, {"refused to talk to me", mail.StageGreeting}, {"after initial connection", mail.StageGreeting},
		{"in reply to starttls", mail.StageStartTLS}, {"after starttls", mail.StageStartTLS}, {"in reply to auth", mail.StageAuth},
	} {
		if strings.Contains(text, told.words) {
			return told.stage
		}
	}
	return ""
}
