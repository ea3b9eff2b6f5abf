package console

// For tests.
const (
	MaxConnections = maxConnections
	UploadsAtOnce  = uploadsAtOnce
)

// RoleOf has the operations that not everybody who may read may call.
var RoleOf = roleOf
