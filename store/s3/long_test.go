//go:build long

package s3

const (
	histories      = "100"
	trials         = 1000
	inMemory       = false
	membersOnMinio = 10_000
)
