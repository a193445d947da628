//go:build !race

package main

// raceDetector says whether the race detector runs.
const raceDetector = false
