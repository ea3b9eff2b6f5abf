//go:build long

package dynamodb_test

// histories is how many random ones are drawn.
const histories = "100"
