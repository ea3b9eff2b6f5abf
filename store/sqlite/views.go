package sqlite

import (
	"fmt"
	"strconv"
	"strings"
)

// views show to people with sqlite3 what the table of swarms holds, and viewRoles what
// that of members does: contents and peer_info are CONTENTS and PEER-INFO of the design document of the cluster.
// Waggle itself never reads them.
var views = `
CREATE VIEW torrents (sha1, downloaded) AS
SELECT place, ` + number(0, 4) + ` FROM (` + hexed + `) WHERE length(place) = 20;

CREATE VIEW contents (sha1, host, port, peer_id, key, kind, last_seen, first_seen, uploaded, downloaded, remaining) AS
SELECT substr(place, 1, 20),
	CASE length(place) WHEN 26 THEN ` + host4() + ` ELSE ` + host6() + ` END,
	` + numberOf("p", "length(p) - 3", 2) + `,
	substr(state, 14, 20),
	` + number(1, 4) + `,
	CASE ` + number(0, 1) + ` WHEN 0 THEN 'seeder' WHEN 1 THEN 'partial seed' ELSE 'leecher' END,
	` + number(5, 4) + `,
	` + detail(0, 4) + `,
	` + detail(4, 8) + `,
	` + detail(12, 8) + `,
	` + detail(20, 8) + `
FROM (` + hexed + `) WHERE length(place) > 20;

CREATE VIEW peer_info (id, host, port) AS SELECT DISTINCT peer_id, host, port FROM contents;
`

const hexed = "SELECT place, state, hex(place) AS p, hex(state) AS s FROM swarms"

// viewRoles shows the roles of located peers, and of others that have leases: who may
// cross the uplinks of how many groups around it, and how many parents it has.
var viewRoles = `
CREATE VIEW roles (sha1, host, port, location, role, reach, parents) AS
SELECT substr(place, 1, 20),
	CASE length(place) WHEN 26 THEN ` + host4() + ` ELSE ` + host6() + ` END,
	` + numberOf("p", "length(p) - 3", 2) + `,
	location,
	CASE
		WHEN location IS NULL THEN 'unlocated'
		WHEN ` + number(0, 1) + ` > 0 THEN iif(substr(state, 1, 1) = x'00', 'exporter', 'importer')
		WHEN ` + number(1, 1) + ` % 2 = 1 THEN 'standby'
		ELSE 'none'
	END,
	` + number(0, 1) + `,
	` + number(11, 2) + `
FROM (SELECT place, location, state, hex(place) AS p, hex(role) AS s FROM members JOIN swarms USING (place));
`

// number is the SQL of the big-endian number of some bytes of the state.
func number(at, bytes int) string { return numberOf("s", strconv.Itoa(2*at+1), bytes) }

// detail is the SQL of a number among the details, which is NULL where there are
// none.
func detail(at, bytes int) string {
	return fmt.Sprintf("iif(length(state) > %d, %s, NULL)", statePeer, number(statePeer+at, bytes))
}

// numberOf is the SQL of a number that some hex digits write, from the given one
// on.
func numberOf(text, from string, bytes int) string {
	sum := "0"
	for i := range 2 * bytes {
		sum = fmt.Sprintf("(%s) * 16 + instr('123456789ABCDEF', substr(%s, %s + %d, 1))", sum, text, from, i)
	}
	return sum
}

// host4 is the SQL of an IPv4 address as text.
func host4() string {
	var parts []string
	for i := range 4 {
		parts = append(parts, "("+numberOf("p", strconv.Itoa(41+2*i), 1)+")")
	}
	return strings.Join(parts, " || '.' || ")
}

// host6 is the SQL of an IPv6 address as text, without abbreviation.
func host6() string {
	var parts []string
	for i := range 8 {
		parts = append(parts, fmt.Sprintf("substr(p, %d, 4)", 41+4*i))
	}
	return "lower(" + strings.Join(parts, " || ':' || ") + ")"
}
