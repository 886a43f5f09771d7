//go:build !race

package tests

// raceDetector is not built in.
const raceDetector = false
