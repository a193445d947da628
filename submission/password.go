package submission

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What a hash may ask for. Every attempt to log in costs that much, and one that costs a gigabyte or a minute is a weapon against us.
const (
	leastMemory  = 4 << 10   // KiB
	mostMemory   = 256 << 10 // KiB
	mostPasses   = 16
	mostThreads  = 16
	mostWork     = 1 << 20 // KiB times passes: about a second
	leastSalt    = 8       // octets (RFC 9106 s3.1)
	leastKey     = 16      // octets
	mostBytes    = 64      // of a salt or key
	mostPassword = 1024    // octets
)

// errHash is why a text is no hash that we use. It does not quote the text: somebody may have written the password itself.
var errHash = errors.New("is not an argon2id hash in bounds ($argon2id$v=19$m=19456,t=2,p=1$SALT$HASH); `sternpost config password` makes one")

// passwordHash is an argon2id hash (RFC 9106) in the usual text form.
type passwordHash struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// HashPassword makes the text form of a fresh hash: 19 MiB and two passes, about 20 ms.
func HashPassword(password string) (string, error) {
	if password == "" || len(password) > mostPassword {
		return "", fmt.Errorf("a password has 1 to %d octets", mostPassword)
	}
	h := passwordHash{memory: 19 << 10, passes: 2, threads: 1, salt: make([]byte, 16)}
	rand.Read(h.salt) // crypto/rand.Read never fails
	h.key = h.derive(password, 32)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.threads, encode(h.salt), encode(h.key)), nil
}

// parseHash reads the text form, and refuses what costs too much or too little.
func parseHash(text string) (passwordHash, error) {
	var h passwordHash
	var version int
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, errHash
	}
	if n, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || n != 1 || version != argon2.Version {
		return h, errHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.threads); err != nil || n != 3 {
		return h, errHash
	}
	if parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.passes, h.threads) { // something stands behind
		return h, errHash
	}
	var wrong [2]error
	h.salt, wrong[0] = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, wrong[1] = base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(wrong[:]...) != nil || !h.bounded() {
		return h, errHash
	}
	return h, nil
}

func (h passwordHash) bounded() bool {
	return h.memory >= leastMemory && h.memory <= mostMemory && h.passes >= 1 && h.passes <= mostPasses && h.memory*h.passes <= mostWork &&
		h.threads >= 1 && h.threads <= mostThreads &&
		len(h.salt) >= leastSalt && len(h.salt) <= mostBytes && len(h.key) >= leastKey && len(h.key) <= mostBytes
}

func (h passwordHash) derive(password string, length uint32) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.threads, length)
}

// matches costs what the hash asks for, whatever the answer is.
func (h passwordHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, uint32(len(h.key))), h.key) == 1
}
