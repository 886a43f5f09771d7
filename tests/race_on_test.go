//go:build race

package tests

// raceDetector allocates for its own ends.
const raceDetector = true
