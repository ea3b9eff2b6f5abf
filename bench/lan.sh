#!/usr/bin/env bash
# Prints what a cluster costs and commits: announces a second over UDP that are recorded by all
# instances before they are answered, of clusters of several sizes, at the master's own address
# and at a slave's, against those of one tracker without a cluster in the same run; and how long
# an answer takes at half of that. All traffic is on loopback, multicast too.
#
#   bench/lan.sh WAGGLE [SIZES..]      (make bench builds it; without sizes: 1 2 3 5)
#
# All instances and the load share this machine's cores, so the figures are of one core's
# share: machines of their own do more. The last columns say what an announce costs: at the
# master, and at the slaves together.
#
# ROUNDS and DURATION in seconds may be set in the environment.
set -euo pipefail
export LC_ALL=C # numbers have a point

waggle=$(realpath "${1:?usage: bench/lan.sh WAGGLE [SIZES..]}")
shift
sizes=("$@")
if [ ${#sizes[@]} -eq 0 ]; then sizes=(1 2 3 5); fi
rounds=${ROUNDS:-3} duration=${DURATION:-5}
if [ "$(id -u)" = 0 ]; then renice -n -20 $$ >/dev/null; fi
work=$(mktemp -d)
declare -A pid=()
finish() {
	kill "${pid[@]}" 2>/dev/null || true
	wait "${pid[@]}" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/secret")

port() { echo $((17300 + 10 * $1)); } # of instance N; its console is one above
crowd=(--torrents 1000 --peers 20000)

# serve N FLAGS... starts instance N with its swarms in memory.
serve() {
	local n=$1
	shift
	: >"$work/$n"
	(cd "$work" && exec "$waggle" serve --store memory: --listen-udp "127.0.0.1:$(port "$n")" --listen-http "127.0.0.1:$(port "$n")" \
		--listen-console "127.0.0.1:$(($(port "$n") + 1))" --limits-peers 0 --limits-torrents 0 "$@") >"$work/$n" 2>>"$work/$n.log" &
	pid[$n]=$!
	until grep -q ^ready "$work/$n"; do
		kill -0 "${pid[$n]}" || { cat "$work/$n.log" >&2; exit 1; }
		sleep 0.05
	done
}

stop() {
	kill "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null || true
	unset "pid[$1]"
}

state() { curl -sf "http://127.0.0.1:$(($(port "$1") + 1))/api/v1/cluster" | jq -r "$2"; }

# together SIZE starts a cluster, whose master is instance 1, and waits until all are equal.
together() {
	local n
	for ((n = 1; n <= $1; n++)); do
		serve "$n" --cluster-group 239.192.77.69:17399 --cluster-peers off --cluster-interface lo --cluster-secret-file secret
		until [ "$(state "$n" .serving)" = true ]; do sleep 0.1; done
	done
	until [ "$(state 1 '[.members[] | select(.state == "equal")] | length')" = $(($1 - 1)) ]; do sleep 0.1; done
}

load() { "$waggle" bench udp "udp://127.0.0.1:$(port "$1")" "${crowd[@]}" --fill=false --rounds 1 --duration "${duration}s" "${@:2}" --json 2>>"$work/log"; }
spent() { awk '{print ($14 + $15) / 100}' "/proc/${pid[$1]}/stat"; } # CPU seconds
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# measure TITLE SIZE AT prints a row: load at instance AT of SIZE.
measure() {
	local title=$1 size=$2 at=$3 round n master others rate answers
	rm -f "$work"/of.*
	for ((round = 1; round <= rounds; round++)); do
		master=$(spent 1) others=0
		for ((n = 2; n <= size; n++)); do others=$(awk "BEGIN {print $others + $(spent "$n")}"); done
		load "$at" --seed "$round" --window 512 >"$work/round"
		rate=$(jq '.results[0].median.answers_per_second' "$work/round")
		answers=$(awk "BEGIN {print $rate * $duration}")
		echo "$rate" >>"$work/of.rate"
		awk "BEGIN {print 1e6 * ($(spent 1) - $master) / $answers}" >>"$work/of.master"
		for ((n = 2; n <= size; n++)); do others=$(awk "BEGIN {print $others - $(spent "$n")}"); done
		awk "BEGIN {print -1e6 * $others / $answers}" >>"$work/of.others"
	done
	rate=$(median <"$work/of.rate")
	if [ -z "${alone:-}" ]; then alone=$rate; fi
	load "$at" --seed 99 --window 512 --rate "$(awk "BEGIN {print int($rate / 2)}")" >"$work/round"
	printf '%-26s %12.0f %7.3f %9.2f ms %9.2f ms %9.1f us %9.1f us\n' "$title" "$rate" "$(awk "BEGIN {print $rate / $alone}")" \
		"$(jq '.results[0].median.latency_us.p50 / 1e3' "$work/round")" "$(jq '.results[0].median.latency_us.p99 / 1e3' "$work/round")" \
		"$(median <"$work/of.master")" "$(median <"$work/of.others")"
}

printf '\n== announces that all instances record before they are answered\n'
printf '%-26s %12s %7s %12s %12s %12s %12s\n' "" "announces/s" ratio "median" "p99" "master's CPU" "slaves' CPU"
serve 1
measure "one tracker, no cluster" 1 1
stop 1
for size in "${sizes[@]}"; do
	together "$size"
	measure "$size, at the master" "$size" 1
	if [ "$size" -gt 1 ]; then measure "$size, at a slave" "$size" 2; fi
	for ((n = size; n >= 1; n--)); do stop "$n"; done
done
awk '{printf "load average %s\n", $1}' /proc/loadavg
