// Package certificate has what a tracker proves its names with over TLS: pairs of files, which are
// read again when they change, and certificates that an authority issues by ACME (RFC 8555).
//
// # What it keeps to
//
//   - A handshake gets the pair that was good last. Files that change are taken once they have stayed the same for
//     a while, so that nobody is shown half of a chain. What is wrong with a file is logged once, with its
//     name, and the pair stays as it was until the file is right. Connections stay in any case.
//   - Of several pairs a client gets the first that is for the name it asks for and that it can check,
//     and the first of all where there is none.
//   - A certificate by ACME is asked for at the start and renewed when a third of its life is left, by
//     the tracker alone: no handshake makes it ask, so strangers cannot use up what an authority allows.
//     One attempt that fails is followed by the next after two minutes, four, and so on up to an hour.
//   - TLS 1.2 at least, with the ciphers that Go chooses.
//
// # How it works
//
// [Certificates.Run] is told by the system of changes in the folders of the files, and in those that
// symbolic links lead to, as certbot and Kubernetes replace links rather than files. It looks at the
// content once a minute besides, for file systems and chains of links that tell nothing.
//
// Package autocert speaks ACME. It proves names by TLS-ALPN-01 in handshakes with [Certificates.Config],
// and by HTTP-01 where [Certificates.Challenges] is served at port 80.
package certificate
