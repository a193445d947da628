package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestSendmailOptionsAsProgramsGiveThem(t *testing.T) {
	null, sender := "", "me@example.test"
	for line, want := range map[string]sendmailOptions{
		"-t -i":                                {fromHeader: true, dots: true},                                     // PHP
		"-ti":                                  {fromHeader: true, dots: true},                                     //
		"-t -oi":                               {fromHeader: true, dots: true},                                     // Perl's Mail::Mailer
		"-oi -oem -odi -odb -t":                {fromHeader: true, dots: true},                                     // Emacs
		"-FCronDaemon -i -B8BITMIME -oem root": {dots: true, fullName: "CronDaemon", recipients: []string{"root"}}, // cron
		"-i -f me@example.test -- you@example.test": {dots: true, sender: &sender, recipients: []string{"you@example.test"}}, // nodemailer, Ruby
		"-i you@example.test -f me@example.test":    {dots: true, sender: &sender, recipients: []string{"you@example.test"}},
		"-fme@example.test you@example.test":        {sender: &sender, recipients: []string{"you@example.test"}},
		"-r me@example.test you@example.test":       {sender: &sender, recipients: []string{"you@example.test"}},
		"-tif me@example.test":                      {fromHeader: true, dots: true, sender: &sender},
		"-f {} you@example.test":                    {sender: &null, recipients: []string{"you@example.test"}},
		"-bs -odb -oem -oi":                         {mode: modeSMTP, dots: true}, // Alpine
		"-bp":                                       {mode: modeQueue},
		"-bi":                                       {mode: modeAliases},
		"-I":                                        {mode: modeAliases},
		"-bm -m -n -v -A c -G -U -x root":           {verbose: true, recipients: []string{"root"}},
		"-t -O IgnoreDots":                          {fromHeader: true, dots: true},
		"-t -OIgnoreDots=false":                     {fromHeader: true},
		"-t -O DeliveryMode=b":                      {fromHeader: true},
		"-t -o i":                                   {fromHeader: true, dots: true},
		"-t -d0.1 -em -X /tmp/x -h 3 -p ESMTP -L tag": {fromHeader: true},
		"-t -N delay,Failure -R hdrs -V a=b":          {fromHeader: true, notify: "DELAY,FAILURE", ret: "HDRS", envid: "a=b"},
		"-N never -- -t":                              {notify: "NEVER", recipients: []string{"-t"}},
		"root -":                                      {recipients: []string{"root", "-"}},
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "{}", "")
		}
		if got, err := parseSendmail(args); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", line, got, err)
		}
	}
}

func TestSendmailOptionsThatAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"":                                 "no recipient",
		"-i":                               "no recipient",
		"-bd -q30m":                        "sternpost serve",
		"-q":                               "sternpost queue",
		"-qf":                              "sternpost queue",
		"-bv root":                         "-bv is not offered",
		"-bt":                              "-bt is not offered",
		"-Z root":                          "no option -Z",
		"--foo root":                       "no option --",
		"-\x1b root":                       `no option -\x1b`,
		"-t -f":                            "-f: a value is missing",
		"-t -N sometimes":                  "-N",
		"-t -N never,delay":                "-N",
		"-t -R all":                        "-R",
		"-t -V caf\u00e9":                  "-V",
		"-t -V " + strings.Repeat("=", 34): "-V",
		"-t -F a\x01b":                     "-F",
		"-t -C /etc/mail.cf":               "STERNPOST_CONFIG",
		"-oMa 192.0.2.1 root":              "-oMa",
	} {
		if got, err := parseSendmail(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v; want an error with %q", line, got, err, want)
		}
	}
}

func TestTheEndOfAPipeIsKnownByItsLastLine(t *testing.T) {
	for _, c := range []struct {
		written []string
		want    bool
	}{
		{[]string{"220 x\r\n250 y\r\n", "221 2.0.0 bye\r\n"}, true},
		{[]string{"250 y\r\n2", "21 2.0.0 b", "ye\r\n"}, true},
		{[]string{"250 221 \r\n"}, false},
		{[]string{"221 2.0.0 bye\r\n421 x\r\n"}, false},
		{nil, false},
	} {
		var l lastLine
		for _, p := range c.written {
			_, _ = l.Write([]byte(p)) // never fails
		}
		if l.isGoodbye() != c.want {
			t.Errorf("%q: got %t", c.written, l.isGoodbye())
		}
	}
}
