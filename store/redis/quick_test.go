//go:build !long

package redis_test

// histories is how many random ones are drawn, of the number that is enough for now.
func histories(enough string) string { return enough }
