//go:build !race

package delivery

// raceDetector says whether the tests were built with the race detector.
const raceDetector = false
