//go:build race

package spool

// raceDetector says whether the tests were built with the race detector.
const raceDetector = true
