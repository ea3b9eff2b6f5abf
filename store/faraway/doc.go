// Package faraway has what the stores of DynamoDB and S3 know about their servers alike:
// whether the server answers (health.go), what an error comes from (failure.go), what their
// URLs say (url.go), how much there is in all, which costs to count (totals.go), and what is
// given up where that is too much (torrents.go).
package faraway
