#!/usr/bin/env bash
# Prints what browsers cost: messages a second over WebSocket of waggle against npm's
# bittorrent-tracker, which is WebTorrent's own, the same load in turn within one run; and the
# resident memory of both while as many connections as may be are open and silent. All traffic
# is on loopback.
#
#   bench/websocket.sh WAGGLE      (make bench builds it; make setup installs npm's)
#
# The servers run on core 0, the load on core 1. There are 1,000 browsers in 100 torrents,
# which announce with five offers each and answer those of others. For the memory there are
# ten in each torrent, and 50,000 in all, or as many as a process may have files open
# (ulimit -n) but 500.
#
# ROUNDS, DURATION in seconds and CONNECTIONS of the memory may be set in the environment.
set -euo pipefail
export LC_ALL=C # numbers have a point

waggle=$(realpath "${1:?usage: bench/websocket.sh WAGGLE}")
cd "$(dirname "$0")/../interop"
npm=node_modules/bittorrent-tracker/bin/cmd.js
[ -e $npm ] || { echo "npm's bittorrent-tracker not found: run make setup, which installs it" >&2; exit 1; }
rounds=${ROUNDS:-5} duration=${DURATION:-5}
ulimit -n "$(ulimit -Hn)"
connections=${CONNECTIONS:-$(($(ulimit -n) < 50500 ? $(ulimit -n) - 500 : 50000))}
if [ "$(id -u)" = 0 ]; then renice -n -20 $$ >/dev/null; fi
work=$(mktemp -d)
declare -A pid=() at=([waggle]=ws://127.0.0.1:17401/announce [npm]=ws://127.0.0.1:17402)
finish() {
	kill "${pid[@]}" 2>/dev/null || true
	wait "${pid[@]}" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

# serve NAME starts a server, and waits until it answers.
serve() {
	if [ "$1" = waggle ]; then
		taskset -c 0 "$waggle" serve --store memory: --listen-udp 127.0.0.1:17401 --listen-http 127.0.0.1:17401 --listen-console off \
			--limits-websocket-connections 0 --limits-websocket-connections-per-address 0 >"$work/$1" 2>&1 &
	else
		taskset -c 0 node $npm --ws --http-hostname 127.0.0.1 --port 17402 --silent >"$work/$1" 2>&1 &
	fi
	pid[$1]=$!
	until "$waggle" bench ws "${at[$1]}" --connections 1 --announces 1 --duration 0 >/dev/null 2>&1; do
		kill -0 "${pid[$1]}" || { cat "$work/$1" >&2; exit 1; }
		sleep 0.1
	done
}

stop() {
	kill "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null || true
	unset "pid[$1]"
}

printf '\n== messages over WebSocket, one core: waggle (A) against npm'\''s bittorrent-tracker (B) (goal: 5)\n'
serve waggle
serve npm
taskset -c 1 "$waggle" bench ws "${at[waggle]}" --pid "${pid[waggle]}" --against "${at[npm]}" --pid-against "${pid[npm]}" \
	--rounds "$rounds" --duration "${duration}s" --timeout 10s 2>"$work/log"
stop waggle
stop npm

printf '\n== resident memory with %s connections on which nothing happens (goals: a tenth, and 20 KB each)\n' "$connections"
for name in waggle npm; do
	serve $name
	taskset -c 1 "$waggle" bench ws "${at[$name]}" --pid "${pid[$name]}" --connections 0 --idle "$connections" --torrents $((connections / 10)) \
		--sockets 64 --idle-for 10s --timeout 60s --json 2>"$work/log" >"$work/idle.$name"
	jq -r --arg name $name '.results[0].idle | "\($name): \(.connections) open, \(.server_rss_bytes / 1048576 | floor) MiB, \(.server_rss_bytes_per_connection | floor) B a connection, all in"' "$work/idle.$name"
	stop $name
done
jq -rs '"ratio \(.[0] / .[1] * 1000 | round / 1000)"' <(jq '.results[0].idle.server_rss_bytes' "$work/idle.waggle") <(jq '.results[0].idle.server_rss_bytes' "$work/idle.npm")
awk '{printf "load average %s\n", $1}' /proc/loadavg
