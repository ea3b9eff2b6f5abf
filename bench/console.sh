#!/usr/bin/env bash
# Prints what the console takes from announces: answers per CPU second of waggle, its
# console included, while three windows follow the overview, the list of torrents and a
# transfer, against none, in turn within one run. All traffic is on loopback.
#
#   bench/console.sh WAGGLE      (make bench builds it)
#
# The server runs on core 0, load and windows on core 1. The tracker has 100,000 torrents
# and a million peers, so that what the windows look at is large. A window is what a
# browser does: it holds the stream of what changes of a page, asks for the figures
# over time every 10 s and for the map of the transfer every 3 s.
#
# ROUNDS, DURATION in seconds and WINDOWS of each page may be set in the environment.
set -euo pipefail

waggle=$1
rounds=${ROUNDS:-5} duration=${DURATION:-12} windows=${WINDOWS:-1}
if [ "$(id -u)" = 0 ]; then renice -n -20 $$ >/dev/null; fi
work=$(mktemp -d)
pids=() watching=()
finish() {
	kill "${watching[@]}" "${pids[@]}" 2>/dev/null || true
	wait "${pids[@]}" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

: >"$work/serve"
tracker=127.0.0.1:17011 console=127.0.0.1:17012
taskset -c 0 "$waggle" serve --store memory: --listen-udp $tracker --listen-http $tracker --listen-console $console \
	--limits-peers 0 --limits-torrents 0 >"$work/serve" 2>"$work/log" &
served=$!
pids+=("$served")
until grep -q ^ready "$work/serve"; do
	kill -0 "$served" || { cat "$work/log" >&2; exit 1; }
	sleep 0.05
done

crowd=(--torrents 100000 --peers 1000000 --pid "$served")
taskset -c 1 "$waggle" bench udp udp://$tracker "${crowd[@]}" --duration 1s >/dev/null 2>>"$work/log"
largest=$(curl -sf "http://$console/api/v1/swarms?sort=peers&order=desc&limit=1" | jq -r '.swarms[0].info_hash')

# follow holds the stream of a page.
follow() {
	exec curl -sN -o "$work/stream$1" --get --data-urlencode "page=$2" "http://$console/live"
}

# every asks for a path, over and over.
every() {
	local seconds=$1 path=$2
	while true; do
		curl -s -o /dev/null --compressed "http://$console$path"
		sleep "$seconds"
	done
}

watch() {
	watching=()
	local n
	for ((n = 0; n < windows; n++)); do
		follow "$n.overview" / & watching+=($!)
		every 10 "/api/v1/timeline?span=hour" & watching+=($!)
		follow "$n.torrents" "/torrents?sort=peers&order=desc" & watching+=($!)
		follow "$n.transfer" "/transfers/$largest" & watching+=($!)
		every 3 "/api/v1/transfers/$largest/map" & watching+=($!)
	done
	disown "${watching[@]}" # nobody is told of their end
}

unwatch() {
	local pid
	for pid in "${watching[@]}"; do
		kill $(ps -o pid= --ppid "$pid") "$pid" 2>/dev/null || true
	done
	watching=()
}

# measure prints answers per CPU second of a round.
measure() {
	taskset -c 1 "$waggle" bench udp udp://$tracker "${crowd[@]}" --fill=false --rounds 1 --duration "${duration}s" --json 2>>"$work/log" |
		jq '.results[0].median.answers_per_server_cpu_second'
}

median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

printf '\n== UDP announces while %s windows follow overview, torrents and the largest transfer, against none (goal: 0.97)\n' $((3 * windows))
printf '%-8s %22s %22s\n' round "alone, per CPU second" "followed"
for ((round = 1; round <= rounds; round++)); do
	alone=$(measure)
	taskset -pc 1 $$ >/dev/null
	watch
	sleep 1
	followed=$(measure)
	grep -q '^event: block' "$work/stream0.overview" "$work/stream0.torrents" "$work/stream0.transfer" || { echo "the windows saw nothing" >&2; exit 1; }
	unwatch
	echo "$alone" >>"$work/alone"
	echo "$followed" >>"$work/followed"
	printf '%-8s %22.0f %22.0f\n' "$round" "$alone" "$followed"
done
awk -v a="$(median <"$work/alone")" -v b="$(median <"$work/followed")" 'BEGIN {printf "median   %22.0f %22.0f   ratio %.3f\n", a, b, b / a}'
