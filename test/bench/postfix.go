//go:build bench

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	postfixMaster  = "/usr/lib/postfix/sbin/master"
	postfixAddress = "127.0.0.1:2526"
)

// postfixConfig says where everything is and nothing of how Postfix works: that is as it comes.
const postfixConfig = `compatibility_level = 3.6
config_directory = @DIR@
queue_directory = @DIR@/queue
data_directory = @DIR@/data
meta_directory = @DIR@
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
myhostname = bench.test
alias_maps =
`

// startPostfix starts a private Postfix with the services of Debian, none of them in a chroot.
func startPostfix(b *bed, dir string) (*server, error) {
	for _, folder := range []string{"", "data", "queue"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	queue := filepath.Join(dir, "queue")
	folders := append([]string{"private", "public", "maildrop", "trace", "flush", "bounce", "saved", "corrupt", "../data"}, owed()...)
	for _, folder := range folders {
		path := filepath.Join(queue, folder)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chown(path, postfixID, postfixID)); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(filepath.Join(queue, "pid"), 0o755); err != nil {
		return nil, err
	}
	if err := b.configurePostfix(dir); err != nil {
		return nil, err
	}
	p, err := launch(dir, postfixMaster, "-c", dir, "-d")
	if err != nil {
		return nil, err
	}
	s := &server{program: p, address: postfixAddress, empty: func() (bool, error) { return noFiles(queue) }}
	if err := p.greets(postfixAddress); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return s, nil
}

// configurePostfix writes main.cf and master.cf.
func (b *bed) configurePostfix(dir string) error {
	config := strings.ReplaceAll(postfixConfig, "@DIR@", dir)
	if b.keep {
		config += "maillog_file = " + dir + "/log\nmaillog_file_prefixes = " + dir + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte(config), 0o644); err != nil {
		return err
	}
	text, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		return err
	}
	var services strings.Builder
	for line := range strings.Lines(string(text)) {
		services.WriteString(service(line))
	}
	return os.WriteFile(filepath.Join(dir, "master.cf"), []byte(services.String()), 0o644)
}

// service is a line of master.cf for us: the listener has another address, and there is no chroot.
func service(line string) string {
	fields := strings.Fields(line)
	if len(fields) < 8 || strings.ContainsAny(line[:1], "# \t") {
		return line
	}
	if fields[0] == "smtp" && fields[1] == "inet" {
		fields[0] = postfixAddress
	}
	fields[4] = "n"
	return strings.Join(fields, " ") + "\n"
}

// owed are the directories in which messages wait.
func owed() []string { return []string{"incoming", "active", "deferred", "defer", "hold"} }

// noFiles says whether no message waits below the queue directory.
func noFiles(queue string) (bool, error) {
	none := true
	for _, folder := range owed() {
		err := filepath.WalkDir(filepath.Join(queue, folder), func(_ string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !entry.IsDir() {
				none = false
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return none, nil
}
