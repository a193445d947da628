package submission

// User is who may authenticate, and what he may do then.
type User struct {
	Name     string   `toml:"name" doc:"The name that is given with the password."`
	Password string   `toml:"password" doc:"The argon2id hash of the password."`
	Senders  []string `toml:"senders" doc:"The reverse-paths that the user may send from: \"a@example.org\", or \"example.org\" for all of a domain, \".example.org\" for its subdomains, \"*\" for all but <>, \"<>\" for the null reverse-path. Empty: any."`
	// RecipientsPerHour is counted over the messages that were accepted.
	RecipientsPerHour int `toml:"recipients_per_hour" doc:"How many recipients the user may send to in an hour. 0: submission.recipients_per_hour decides."`
}
