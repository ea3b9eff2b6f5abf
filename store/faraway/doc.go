// Package faraway has what the stores of DynamoDB and S3 know about their servers alike:
// whether the server answers, and what an error of a connection comes from.
package faraway
