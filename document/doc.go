// Package document keeps documents by their names: what a tracker has that is small,
// seldom changes, and must never be lost, such as its catalogue, accounts and audit
// log. Redis, DynamoDB and S3 each have a [Store]; several trackers may use one at once.
//
// A document changes by compare and swap: who writes says which version it saw.
// Package documenttest proves stores alike, and package table keeps rows in documents,
// which change many at a time, all or none.
package document
