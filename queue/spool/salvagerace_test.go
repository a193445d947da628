//go:build race

package spool

// slow is how many times fewer places are tried under the race detector.
const slow = 4
