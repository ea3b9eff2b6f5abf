package config

import (
	"strings"
	"testing"
)

func TestGroupIsRefusedWithTheRemedy(t *testing.T) {
	for text, want := range map[string]Group{
		"off": "", "": "", "239.192.0.69:6968": "239.192.0.69:6968", "[ff02::6968]:1": "[ff02::6968]:1",
		"[ff02:0::6968]:1": "[ff02::6968]:1", "[::ffff:239.192.0.69]:1": "239.192.0.69:1",
	} {
		if g, err := parseGroup(text); err != nil || g != want {
			t.Errorf("%q is %q, %v", text, g, err)
		}
	}
	for text, remedy := range map[string]string{
		"239.192.0.69":           errShape.Error(),
		"239.192.0.69:0":         "from 1 to 65535",
		"192.0.2.1:6968":         "from 224.0.0.0",
		"[fe80::1]:6968":         "from 224.0.0.0",
		"[ff02::6968%eth0]:6968": "cluster.interface",
	} {
		if _, err := parseGroup(text); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

func TestMistakesOfClustersAreReportedWithTheRemedy(t *testing.T) {
	const group, secret = "group: '239.192.0.69:6968'", "secret_file: x"
	for file, want := range map[string]string{
		"cluster: {" + group + "}":                                                      "1: cluster.group needs cluster.secret_file",
		"cluster: {nats: 'nats://127.0.0.1:4222'}":                                      "1: cluster.nats needs cluster.secret_file",
		"cluster: {" + group + ", " + secret + ", unauthenticated: true}":               "cluster.unauthenticated and cluster.secret_file exclude each other",
		"cluster: {" + group + ", " + secret + ", nats: 'nats://127.0.0.1:4222'}":       "cluster.nats and cluster.group exclude each other",
		"cluster: {" + group + ", " + secret + ", peers: '239.192.0.69:6968'}":          "are one group",
		"store: 'redis://h:1'\ncluster: {" + group + ", " + secret + "}":                "2: cluster.group needs a store in memory or a file",
		"cluster: {" + group + ", " + secret + "}\nlink: {listen: ':6971'}":             "2: link.listen and cluster.group exclude each other",
		"cluster: {" + group + ", " + secret + "}\nlisten: {udp: [':6968']}":            "are both on port 6968",
		"cluster: {" + group + ", " + secret + ", ttl: 256}":                            "cluster.ttl must be",
		"cluster: {" + group + ", " + secret + ", peers: '[::ffff:239.192.0.69]:6968'}": "are one group",
		"cluster: {nats: 'nats://127.0.0.1:4222', " + secret + ", nats_prefix: 'a..b'}": "1: cluster.nats_prefix is up to eight words",
		"cluster: {nats: 'nats://127.0.0.1:4222', " + secret + ", nats_prefix: '>'}":    "cluster.nats_prefix is up to eight words",
		"cluster: {group: '192.0.2.1:1'}":                                               "cluster.group wants off, or a multicast group such as 239.192.0.69:6968",
		"cluster: {nats: 'tls://nats.example:4222', " + secret + ", max_rows: 10}":      "cluster.max_rows must be",
	} {
		if _, err := read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
	for _, file := range []string{
		"cluster: {" + group + ", " + secret + "}",
		"cluster: {" + group + ", unauthenticated: true, peers: off}",
		"cluster: {nats: 'nats://127.0.0.1:4222', nats_prefix: Room_1.waggle, " + secret + ", peers: '[ff02::6969]:6969'}\nlisten: {udp: ['127.0.0.1:6968']}",
	} {
		if _, err := read(file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
