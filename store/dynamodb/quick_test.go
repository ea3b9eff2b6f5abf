//go:build !long

package dynamodb_test

// histories is how many random ones are drawn. dynalite answers some hundred requests a
// second, and a hundred histories of a hundred steps take forty seconds.
const histories = "15"
