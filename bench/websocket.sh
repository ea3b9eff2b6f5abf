#!/usr/bin/env bash
# Prints what browsers cost: messages a second over WebSocket of waggle against npm's
# bittorrent-tracker, which is WebTorrent's own, the same load in turn within one run; and the
# resident memory of both: with browsers that announce all the time, and with as many
# connections as may be on which nothing happens any more. All traffic is on loopback.
#
#   bench/websocket.sh WAGGLE      (make bench builds it; make setup installs npm's)
#
# The servers run on core 0, the load on core 1. There are 1,000 browsers in 100 torrents,
# which announce with five offers each and answer those of others; first 32 announces are
# under way at a time, then 512, which keep both servers busy all the time. For the memory
# there are ten in each torrent: 10,000 that announce, and then 50,000 in all that have
# announced once, or as many as a process may have files open (ulimit -n) but 500.
#
# ROUNDS, DURATION in seconds, BROWSERS that announce and CONNECTIONS of the memory, and IDLE,
# the seconds before it is looked at, may be set in the environment.
set -euo pipefail
export LC_ALL=C # numbers have a point

waggle=$(realpath "${1:?usage: bench/websocket.sh WAGGLE}")
cd "$(dirname "$0")/../interop"
npm=node_modules/bittorrent-tracker/bin/cmd.js
[ -e $npm ] || { echo "npm's bittorrent-tracker not found: run make setup, which installs it" >&2; exit 1; }
rounds=${ROUNDS:-5} duration=${DURATION:-5}
ulimit -n "$(ulimit -Hn)"
browsers=${BROWSERS:-10000}
idle=${IDLE:-20}
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

# memory NAME WHEN prints what a server takes now, and writes it to a file.
memory() {
	awk -v name="$1" -v when="$2" '
		/^VmRSS:/ { all = $2 }
		/^RssAnon:/ { own = $2 }
		END { printf "%s, %s: %.0f MiB, %.0f MiB of it not pages of files\n", name, when, all / 1024, own / 1024; print all, own >out }
	' out="$work/$1.$2" "/proc/${pid[$1]}/status"
}

# ratio WHEN prints the memory of waggle by that of npm's.
ratio() {
	local name all own empty emptyown
	for name in waggle npm; do
		read -r all own <"$work/$name.$1"
		read -r empty emptyown <"$work/$name.empty"
		echo "$all $own $((all - empty)) $((own - emptyown))"
	done | awk -v when="$1" '
		NR == 1 { for (i = 1; i <= 4; i++) a[i] = $i }
		NR == 2 { printf "ratio, %s: %.3f; of what is not pages of files %.3f; of what came since it was empty %.3f\n", when, a[1] / $1, a[2] / $2, a[4] / $4 }
	'
}

for window in 32 512; do
	printf '\n== messages over WebSocket, one core, %s announces under way: waggle (A) against npm'\''s bittorrent-tracker (B) (goal: 5)\n' $window
	serve waggle
	serve npm
	taskset -c 1 "$waggle" bench ws "${at[waggle]}" --pid "${pid[waggle]}" --against "${at[npm]}" --pid-against "${pid[npm]}" \
		--window $window --rounds "$rounds" --duration "${duration}s" --timeout 10s 2>"$work/log"
	stop waggle
	stop npm
done

printf '\n== resident memory while %s browsers announce, and with %s connections on which nothing happens (goals: a tenth, and 20 KB each)\n' \
	"$browsers" "$connections"
for name in waggle npm; do
	serve $name
	memory $name empty
	taskset -c 1 "$waggle" bench ws "${at[$name]}" --connections "$browsers" --torrents $((browsers / 10)) \
		--sockets 64 --rounds 1 --duration 20s --timeout 60s >/dev/null 2>"$work/log" &
	load=$!
	sleep 1
	while kill -0 $load 2>/dev/null; do
		memory $name announcing && cat "$work/$name.announcing" >>"$work/$name.all"
		sleep 0.5
	done >"$work/lines"
	wait $load
	tail -n 5 "$work/lines" | head -n 1 # in the end all leave
	tail -n 5 "$work/$name.all" | head -n 1 >"$work/$name.announcing"
	stop $name
	serve $name
	taskset -c 1 "$waggle" bench ws "${at[$name]}" --pid "${pid[$name]}" --connections 0 --idle "$connections" --torrents $((connections / 10)) \
		--sockets 64 --idle-for "${idle}s" --timeout 60s --json 2>"$work/log" >"$work/idle.$name"
	jq -r --arg name $name '.results[0].idle | "\($name), idle: \(.connections) open, \(.server_rss_bytes / 1048576 | floor) MiB, \(.server_rss_anonymous_bytes / 1048576 | floor) MiB of it not pages of files, \(.server_rss_bytes_per_connection | floor) B a connection, all in"' "$work/idle.$name"
	jq -r '.results[0].idle | "\(.server_rss_bytes / 1024 | floor) \(.server_rss_anonymous_bytes / 1024 | floor)"' "$work/idle.$name" >"$work/$name.idle"
	stop $name
done
ratio announcing
ratio idle
awk '{printf "load average %s\n", $1}' /proc/loadavg
