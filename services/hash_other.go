//go:build !linux

package services

// givingWay runs work. Threads that give way to others are asked for on Linux
// only.
func givingWay(work func()) { work() }
