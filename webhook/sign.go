package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// sign is the field webhook-signature: one signature for each secret, separated by blanks. What is signed is id.time.body.
func sign(secrets [][]byte, id string, at time.Time, body []byte) string {
	var list []string
	for _, secret := range secrets {
		sum := hmac.New(sha256.New, secret)
		sum.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + ".")) // a hash never fails
		sum.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	return strings.Join(list, " ")
}
