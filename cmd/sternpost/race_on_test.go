//go:build race

package main

// raceDetector says whether the race detector runs, with which the time of a bubble passes forty times slower.
const raceDetector = true
