package queue

import (
	"fmt"
	"io"
	"os"

	"sternpost/dsn"
)

// maxTemplate bounds the file of a template, in octets.
const maxTemplate = 256 << 10

// CheckFiles reads the files that a configuration names, and tries them: the template of reports with samples.
func CheckFiles(c Config) error {
	_, err := reportText(c)
	return err
}

// reportText is the text of reports that a configuration asks for.
func reportText(c Config) (*dsn.Text, error) {
	if c.ReportTemplate == "" {
		return dsn.NewText(dsn.Language(c.ReportLanguage))
	}
	source, err := readTemplate(c.ReportTemplate)
	if err != nil {
		return nil, fmt.Errorf("queue.report_template: %w", err)
	}
	text, err := dsn.ParseText(source)
	if err != nil {
		return nil, fmt.Errorf("queue.report_template: %s: %w", c.ReportTemplate, err)
	}
	return text, nil
}

func readTemplate(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	source, err := io.ReadAll(io.LimitReader(file, maxTemplate+1))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && len(source) > maxTemplate {
		err = fmt.Errorf("%s is longer than %d octets", name, maxTemplate)
	}
	return string(source), err
}
