// Package faraway has what the stores of DynamoDB and S3 know about their servers alike:
// whether the server answers, what an error of a connection comes from, and how much there
// is in all, which costs to count.
package faraway
