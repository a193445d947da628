package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Bounds of one try.
const (
	patience      = 20 * time.Second // from the connection to the end of the answer
	longestHeader = 64 << 10
	longestAnswer = 64 << 10 // octets of a body that are read, so that the connection can be used again
)

// newClient makes what endpoints are asked with: certificates are verified, redirections are answers like any other.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: patience}).DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: patience, MaxResponseHeaderBytes: longestHeader, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
		}
	}
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// errGone is the answer of an endpoint that wants to hear nothing more.
var errGone = errors.New("the endpoint answers 410 Gone")

// refusal is an answer that is not 2xx.
type refusal struct {
	status string
	wait   time.Duration // what Retry-After asks for; 0: nothing
}

func (r refusal) Error() string { return "the endpoint answers " + r.status }

// heard says whether a try that failed may have been heard: it was answered, or there was a connection that broke or fell silent. Then it may be the event that is not liked.
func heard(err error) bool {
	answered, waited := new(refusal), net.Error(nil)
	return errors.As(err, answered) || errors.As(err, &waited) && waited.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// post sends an event once; nil: it was answered with 2xx.
func (e *endpoint) post(ctx context.Context, told event) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.URL, bytes.NewReader(told.body))
	if err != nil {
		return withoutURL(err)
	}
	now := time.Now()
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": e.notifier.deps.Agent, "webhook-id": told.id,
		"webhook-timestamp": strconv.FormatInt(now.Unix(), 10), "webhook-signature": sign(e.secrets, told.id, now, told.body),
	} {
		request.Header.Set(name, value)
	}
	response, err := e.notifier.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, longestAnswer)) // the status has decided
	switch {
	case response.StatusCode/100 == 2:
		return nil
	case response.StatusCode == http.StatusGone:
		return errGone
	}
	return refusal{fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)), retryAfter(response, now)}
}

// retryAfter reads the field of that name (RFC 9110 s10.2.3).
func retryAfter(response *http.Response, now time.Time) time.Duration {
	text := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), int(longestDelay/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// withoutURL is the error without the URL, which may have secrets in it.
func withoutURL(err error) error {
	if outer := new(url.Error); errors.As(err, &outer) {
		return outer.Err
	}
	return err
}
