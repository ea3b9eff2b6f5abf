// Package lambda answers HTTP requests that come as events: those of AWS Lambda behind
// a Function URL, an API Gateway or an Application Load Balancer ([Front]), and those of
// an OpenWhisk action ([Action]). It opens no socket towards clients and parses no
// announce: it makes an [http.Request] of an event, has the tracker's own handler answer
// that, and makes an event's answer of what that wrote.
//
// # What becomes of an info hash
//
// 20 bytes that are seldom UTF-8 come in the query of an announce. What arrives of
// them, and what is done with it:
//
//   - Function URL, and HTTP API with payload 2.0: rawQueryString has the query as it
//     was sent. It is passed on.
//   - Load balancer: names and values come as they were sent, "the load balancer does
//     not decode them" (Elastic Load Balancing, Lambda functions as targets). They are
//     put together again. Without multi-value headers a repeated name has its last
//     value only, so a scrape is of one torrent.
//   - REST API, and HTTP API with payload 1.0: values come decoded. Of bytes that are no
//     UTF-8 Amazon's documentation says nothing. Where each came as a character of its
//     own (Latin-1), or all of them are UTF-8 by chance, they are known again; where
//     they were replaced (U+FFFD), they are lost, and the client is told so in words.
//   - OpenWhisk's controller decodes and encodes the query, as UTF-8 (WebActions.scala;
//     Uri.Query of Akka HTTP), and so replaces bytes. A proxy before it that names the
//     request's own target in X-Forwarded-Uri keeps them; else they are lost as above.
//
// # Whose address counts
//
// That of the connection, as the platform says it: requestContext.http.sourceIp,
// requestContext.identity.sourceIp, and of a load balancer, which says it nowhere else,
// the last entry of X-Forwarded-For. What other proxies said before stays in that header,
// for a handler that trusts some of them. Every request has the header Via, so that none
// passes for one of this machine.
//
// # Bounds
//
// An event has 6 MB, as much as Lambda itself takes; an answer as much as its source
// lets through. An event that is broken, or of a source that is not known, is an error
// that says what was expected. A fault of the handler is answered 500.
//
// # The files
//
//	front.go      events of Lambda, one at a time or several at once
//	event.go      an event, and what it is one of
//	request.go    the request that it makes
//	query.go      the query, where it came in parts
//	answer.go     the answer
//	action.go     OpenWhisk's protocol; activation.go: what it sends and is sent
//	lambdatest    a Lambda for tests
package lambda
