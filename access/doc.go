// Package access says who may announce: clients by what they call themselves, networks, and
// those who carry a token. What it says is replaced while announces are under way.
//
//   - [Lists] are files of clients and networks, allowed and denied ones (clients.go,
//     networks.go), read again when they change (lists.go). [Lists.Welcome] is asked about an
//     address before anything of it is looked at, [Lists.Enter] about an announce.
//   - [Tokens] are JSON Web Tokens, signed by keys that are fetched from time to time
//     (tokens.go, keys.go). Which were good is remembered, and how many an address may have
//     checked is bounded, so that a flood of bad ones costs little (seen.go).
//
// Both are doors of a tracker. docs/access.md tells operators of them.
package access
