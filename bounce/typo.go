package bounce

import (
	"sternpost/mail"
)

// known are domains at which many people have addresses, the largest first.
func known() []mail.Domain {
	return []mail.Domain{
		"gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "aol.com", "live.com", "msn.com", "googlemail.com", "yahoo.co.uk", "hotmail.co.uk", "yahoo.co.jp",
		"gmx.de", "gmx.net", "web.de", "t-online.de", "freenet.de", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "hotmail.fr", "yahoo.fr", "libero.it", "virgilio.it",
		"hotmail.it", "comcast.net", "verizon.net", "sbcglobal.net", "bellsouth.net", "cox.net", "att.net", "protonmail.com", "proton.me", "yandex.ru", "mail.ru", "rambler.ru",
		"qq.com", "163.com", "126.com", "sina.com", "naver.com", "docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp", "uol.com.br", "bol.com.br", "terra.com.br", "bigpond.com", "btinternet.com",
	}
}

// Typo says which known domain may be meant by one that does not exist: the nearest within one edit (a letter too many, missing, another, or two exchanged), or two in names of
// more than eight letters. Ask it only about domains that do not exist.
func Typo(d mail.Domain) (meant mail.Domain, ok bool) {
	best := 3
	for _, name := range known() {
		if d == name {
			return "", false
		}
		allowed := 1
		if len(name) > len("gmail.co") {
			allowed = 2
		}
		if len(d) > len(name)+allowed || len(name) > len(d)+allowed {
			continue
		}
		if n := edits(string(d), string(name)); n <= allowed && n < best {
			meant, best = name, n
		}
	}
	return meant, best < 3
}

// edits is how many letters must be added, taken away, replaced or exchanged with their neighbour to make b of a (optimal string alignment). Both are short.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := 1
			if a[i-1] == b[j-1] {
				changed = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
