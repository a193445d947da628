package submission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsersFile(t *testing.T) {
	anna, ben := cheap("anna", "secretword"), cheap("ben", "x")
	table := func(u User) string {
		return "[[users]]\nname = \"" + u.Name + "\"\npassword = \"" + u.Password + "\"\n"
	}
	for name, c := range map[string]struct {
		text  string
		users int
		wrong string
	}{
		"one more":      {table(ben) + "senders = [\"example.org\"]\n", 2, ""},
		"none":          {"", 1, ""},
		"twice":         {table(anna), 0, "anna"},
		"twice in it":   {table(ben) + table(ben), 0, "ben"},
		"no hash":       {table(User{Name: "ben", Password: "secretword"}), 0, "users[0].password"},
		"no name":       {table(User{Password: ben.Password}), 0, "users[0].name"},
		"blank name":    {table(User{Name: "ben ", Password: ben.Password}), 0, "users[0].name"},
		"unknown key":   {table(ben) + "colour = 1\n", 0, "users.colour"},
		"no TOML":       {"ben: secretword\n", 0, ":1:"},
		"wrong pattern": {table(ben) + "senders = [\"a b\"]\n", 0, "senders"},
	} {
		file := filepath.Join(t.TempDir(), "users.toml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		users, err := LoadUsers(Config{Users: []User{anna}, UsersFile: file})
		switch {
		case c.wrong == "" && (err != nil || len(users) != c.users):
			t.Errorf("%s: %d users, %v", name, len(users), err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "submission.users_file")):
			t.Errorf("%s: %v", name, err)
		case err != nil && strings.Contains(err.Error(), "secretword"):
			t.Errorf("%s: the password is told: %v", name, err)
		}
	}
	if _, err := LoadUsers(Config{UsersFile: "/nonexistent"}); err == nil {
		t.Error("a file that is not there is read")
	}
}
