package lab

import (
	"fmt"
	"strings"
	"time"
)

// duration reads a duration or a number of seconds; none is 0.
func (p *parser) duration(key string, value any) time.Duration {
	if value == nil {
		return 0
	}
	d, err := ParseDuration(fmt.Sprint(value))
	if err != nil {
		p.wrong(key, "%w", err)
	}
	return d
}

// text reads a text; none is empty.
func (p *parser) text(key string, value any) string {
	text, ok := value.(string)
	if !ok && value != nil {
		p.wrong(key, "%s is a text in quotation marks", lastPart(key))
	}
	return text
}

// texts reads a list of texts; none is empty.
func (p *parser) texts(key string, value any) []string {
	list, ok := value.([]any)
	if !ok && value != nil {
		p.wrong(key, "%s is a list of texts: [\"...\", \"...\"]", lastPart(key))
	}
	var all []string
	for _, one := range list {
		text, ok := one.(string)
		if !ok {
			p.wrong(key, "%s is a list of texts: [\"...\", \"...\"]", lastPart(key))
			return nil
		}
		all = append(all, text)
	}
	return all
}

// number reads a whole number from 0 to most; none is 0.
func (p *parser) number(key string, value any, most int64) int {
	n, ok := value.(int64)
	if value != nil && (!ok || n < 0 || n > most) {
		p.wrong(key, "%s is a number from 0 to %d", lastPart(key), most)
		return 0
	}
	return int(n)
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }
