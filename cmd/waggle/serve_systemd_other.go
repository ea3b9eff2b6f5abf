//go:build !linux

package main

// monotonic is what systemd wants beside RELOADING=1, which is on Linux alone.
func monotonic() string { return "" }
