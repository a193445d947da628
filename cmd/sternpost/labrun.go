package main

import (
	"errors"
	"fmt"
	"time"

	"sternpost/lab"
)

type labRunCommand struct {
	Scenario string  `arg:"" name:"scenario" help:"A scenario that comes with the program, or a file."`
	Seed     *uint64 `placeholder:"N" help:"The seed of all that is left to chance. Without it: the scenario's."`
	Until    string  `placeholder:"TIME" help:"End the run at this time of the lab, as in 90m or 2d, whatever still waits."`
	Verbose  bool    `short:"v" help:"Show each attempt with all that was asked and answered."`
	Log      bool    `help:"Print the agent's log on standard error."`
}

func (labRunCommand) Help() string {
	return `Runs a scenario of the lab with an agent inside, in a bubble where time passes as soon as everybody waits: five days of retries take a second. The agent is the one of serve, with its queue on a file system in memory; DNS and mail exchangers are those of the scenario. Nothing leaves the program and nothing is written to the disk.

The same scenario and seed give the same report, to the last octet. The configuration is not read, unless --config or STERNPOST_CONFIG names one: then the agent has that, but for what leads it into the lab. What the scenario says of the configuration goes over it.

Exit status: 0 all expectations hold, 69 some do not, 65 the file is wrong, 64 the command line is, 75 the run itself failed, 78 the configuration is wrong.

Examples:

    sternpost lab run primary-down
    sternpost lab run ./mine.toml --seed 7 --verbose
    sternpost lab run five-days-down --config /etc/sternpost/sternpost.toml`
}

// Run runs a scenario and reports.
func (r labRunCommand) Run(sh *shell) error {
	scenario, err := loadScenario(r.Scenario)
	if err != nil {
		return err
	}
	if r.Seed != nil {
		scenario.Seed = *r.Seed
	}
	until := time.Duration(0)
	if r.Until != "" {
		until, err = lab.ParseDuration(r.Until)
		if err == nil && until == 0 {
			err = errors.New("longer than nothing is meant")
		}
		if err != nil {
			return withCode(exitUsage, fmt.Errorf("--until: %w", err))
		}
	}
	began := time.Now()
	told, err := r.report(sh, scenario, until)
	if err != nil {
		return err
	}
	if sh.json {
		err = printJSON(sh.stdout, told)
	} else {
		err = labStory{story{sh.stdout, paintFor(sh.stdout, sh.environ), r.Verbose}, told}.print()
	}
	if isTerminal(sh.stderr) { // it is not the same twice, so the report does not have it
		fmt.Fprintf(sh.stderr, "%s of the lab took %s.\n", labSpan(told.lasted()), time.Since(began).Round(10*time.Millisecond))
	}
	if err == nil && !told.AsExpected {
		return quietly(exitFailed)
	}
	return err
}

// report runs the scenario.
func (r labRunCommand) report(sh *shell, s lab.Scenario, until time.Duration) (labReport, error) {
	c, err := labConfiguration(sh, s)
	if err != nil {
		return labReport{}, err
	}
	p := startProgress(sh.stderr, "in the lab", -1)
	result, err := inLab(nil, labRun{scenario: s, configuration: c, until: until, log: r.logTo(sh)})
	p.done()
	if exit := new(exitError); errors.As(err, &exit) { // the agent has said what it is, such as the configuration
		return labReport{}, err
	}
	if err != nil {
		return labReport{}, withCode(exitAgain, fmt.Errorf("the run came to no end: %w", err))
	}
	return result.report(), nil
}
