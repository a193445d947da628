package submission

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"go.uber.org/zap"

	"sternpost/mail"
)

// mostName is how long the name of a user may be, in octets.
const mostName = 255

// LoadUsers gives the users of the configuration, which has been checked: those of its tables and those of the file that it names. The errors name the key or the file, and never
// a password.
func LoadUsers(c Config) ([]User, error) {
	if c.UsersFile == "" {
		return c.Users, nil
	}
	more, err := readUsers(c.UsersFile)
	if err != nil {
		return nil, fmt.Errorf("submission.users_file: %w", err)
	}
	users := slices.Concat(c.Users, more)
	if err := errors.Join(append(checkLogins("users", more), checkUsers(users))...); err != nil {
		return nil, fmt.Errorf("submission.users_file: %s: %w", mail.Escape(c.UsersFile), err)
	}
	return users, nil
}

// CheckFiles finds mistakes in the files that the configuration names.
func CheckFiles(c Config) error {
	_, err := LoadUsers(c)
	if c.CertFile != "" {
		_, wrong := openCertificates(c.CertFile, c.KeyFile, zap.NewNop())
		err = errors.Join(err, wrong)
	}
	return err
}

// readUsers reads a TOML file with tables [[users]]. Keys that do not exist are errors, as in the configuration.
func readUsers(path string) ([]User, error) {
	var file struct {
		Users []User `toml:"users"`
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	known, err := toml.Decode(string(text), &file)
	if parse := new(toml.ParseError); errors.As(err, parse) {
		return nil, fmt.Errorf("%s:%d: %s", mail.Escape(path), parse.Position.Line, mail.Escape(parse.Message))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", mail.Escape(path), err)
	}
	if extra := known.Undecoded(); len(extra) > 0 {
		return nil, fmt.Errorf("%s: there is no key %s", mail.Escape(path), mail.Escape(extra[0].String()))
	}
	return file.Users, nil
}

// checkLogins finds users that cannot log in.
func checkLogins(key string, users []User) []error {
	var errs []error
	for i, u := range users {
		if !isName(u.Name) {
			errs = append(errs, fmt.Errorf("%s[%d].name: %s is not 1 to %d printable octets without a blank at either end", key, i, mail.Escape(u.Name), mostName))
		}
		if _, err := parseHash(u.Password); err != nil {
			errs = append(errs, fmt.Errorf("%s[%d].password: %w", key, i, err))
		}
	}
	return errs
}

// isName says whether text may be the name of a user: it stands in the log, in Received fields and in the journal.
func isName(text string) bool {
	return text != "" && len(text) <= mostName && utf8.ValidString(text) && mail.Escape(text) == text && strings.TrimSpace(text) == text
}
