package bounce

// Config is the section [bounce] of the configuration.
type Config struct {
	Rules []Rule `toml:"rules" doc:"How failures are judged that the rules of the program judge otherwise: yours are asked first, in their order. All conditions of a rule must fit. [reading-bounces.md](reading-bounces.md) explains the categories."`
}

// Check finds rules that cannot work, all of them at once. The errors name their keys.
func (c Config) Check() error {
	if len(c.Rules) == 0 {
		return nil
	}
	_, err := New(c.Rules)
	return err
}
