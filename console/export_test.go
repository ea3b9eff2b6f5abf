package console

// For tests.
const (
	MaxConnections = maxConnections
	UploadsAtOnce  = uploadsAtOnce
)
