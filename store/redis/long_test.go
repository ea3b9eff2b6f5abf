//go:build long

package redis_test

// histories is how many random ones are drawn.
func histories(string) string { return "200" }
