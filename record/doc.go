// Package record writes the announces that a tracker takes in to a file, and reads
// them again: to put them to another policy (package simulate), or to look at them.
//
// A record is a line of JSON, with keys in this order:
//
//	t      when it came in: Unix seconds, with a fraction
//	hash   the info hash, 40 hexadecimal digits
//	addr   where others reach the peer: "10.0.0.1:6881", "[2001:db8::1]:6881"
//	id     the peer id, 40 hexadecimal digits
//	left   bytes that it lacks; 9223372036854775807 where it cannot say
//	up     bytes uploaded, as it says
//	down   bytes downloaded, as it says
//	event  "started", "completed", "stopped", "paused", or "" for none
//	want   how many peers it wants; negative for as many as the tracker likes
//	path   where it is: "row3/rack7", or "" where nobody knows
//
// A [Writer] never holds up an announce: what does not fit its queue, or its file, is
// dropped and counted. A [Reader] takes what it reads for a stranger's.
package record
