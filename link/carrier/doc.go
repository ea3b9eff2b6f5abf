// Package carrier takes messages between two trackers that have a link, and knows
// nothing of what is in them. It is NATS underneath: a hub has a NATS server in its
// own process, and leaves are clients of it; or both are clients of a NATS that is
// there already.
//
// # The words
//
// A hub listens, a leaf joins. Each has a name. A [Link] is one session between the
// two: it opens, takes messages in order in both directions, and closes; what comes
// after is another Link. A message that was sent arrives once or not at all; if
// one is lost, those behind it still come, so whoever must know has to number them.
//
// # Who may come
//
// A hub makes a key at first use. [Book.Invite] makes a key for a leaf, keeps the
// public half of it, and returns a line that holds the rest: where the hub is, the
// SHA-256 of the hub's public key, and the leaf's secret. [Join] keeps it on the leaf.
// Between them everything is TLS 1.3: the leaf knows the hub by the hash (its
// certificate is self-signed, and made again with the same key long before it ends),
// the hub knows the leaf by its signature. [Book.Revoke] strikes a leaf out, also of a
// hub that runs in another process: it looks at its book every second.
//
// Leaves are clients of the hub's server rather than leaf nodes of NATS: the hub must
// see by which leaf a change came, to limit it, to cap it, and to forget it. A leaf may
// publish PREFIX.up.NAME and PREFIX.knock.NAME and listen to PREFIX.down.NAME, nothing
// else, so that leaves neither hear nor imitate each other.
//
// # A session
//
// A leaf knocks with a new number; the hub welcomes it, with the leaf's rights, or
// refuses it in words. Each frame carries the number. Every two seconds each side says
// how much it has taken in; whoever hears nothing for eight seconds closes the session,
// so a connection that is open on one side alone is noticed within ten.
//
// # Bounds
//
// A side may have sent [Window] bytes more than the other has taken in: beyond that
// [Link.Send] returns [ErrFull], at once. A leaf that sends more all the same, or much that
// is of no session, is shut out for a minute, in words at both ends; what it sends
// meanwhile is not read, and has its connections closed. Each leaf has a connection of its
// own inside the hub, so that one that floods fills nobody else's.
//
// Who has not shown a key yet has 5 s for TLS and 5 s more for the key, 1 KiB to say it in,
// and, with all others and those of leaves, 4,000 connections, of some 20 KB each: who fills
// those keeps newcomers out for as long as that goes on, and none of the links that are
// open. A firewall can tell such hosts apart; the hub says in its log that it is time to.
//
// # Where to begin
//
// hub.go and leaf.go use all others: link.go is a session and session.go what it does,
// frame.go what travels, wire.go a connection to NATS; attempts.go is how a leaf tries,
// desk.go where a hub attends to one leaf, server.go and porter.go the NATS inside a hub,
// outside.go and abroad.go one that is there already; book.go, identity.go, invitation.go
// and joined.go are the credentials, words.go what is said when something is refused.
package carrier
