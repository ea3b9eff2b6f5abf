#!/usr/bin/env bash
# Prints the figures of docs/performance.md: waggle against an echo that does no
# work and against opentracker, the server on core 0 and the load on core 1, each
# pair in turn within one run. Needs root, for opentracker's chroot; all traffic
# is on loopback.
#
#   bench/goals.sh WAGGLE      (make bench builds it and installs opentracker)
#
# ROUNDS and DURATION of a comparison may be set in the environment.
set -euo pipefail

waggle=$1
rounds=${ROUNDS:-5} duration=${DURATION:-5s}
work=$(mktemp -d)
chmod 755 "$work"
pids=()
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	wait "${pids[@]}" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

tracker=127.0.0.1:17001 other=127.0.0.1:17002 echo_udp=127.0.0.1:17003 echo_http=127.0.0.1:17004

# serve starts waggle on a core with flags, and leaves its process in $served.
serve() {
	local cores=$1
	shift
	taskset -c "$cores" "$waggle" serve --store memory: --listen-udp $tracker --listen-http $tracker --listen-console off \
		--torrents-peer-details=false --limits-peers 0 --limits-torrents 0 "$@" >"$work/serve" 2>>"$work/log" &
	served=$!
	pids+=("$served")
	until grep -q ^ready "$work/serve"; do
		kill -0 "$served" || { cat "$work/log" >&2; exit 1; }
		sleep 0.05
	done
}

stop() {
	kill "$1"
	wait "$1" 2>/dev/null || true
}

# load compares: its arguments are those of waggle bench.
load() {
	taskset -c 1 "$waggle" bench "$@" --rounds "$rounds" --duration "$duration" 2>>"$work/log"
}

title() { printf '\n== %s\n' "$1"; }

taskset -c 0 "$waggle" bench echo udp --listen $echo_udp >/dev/null 2>>"$work/log" &
echo_udp_pid=$! && pids+=("$echo_udp_pid")
taskset -c 0 "$waggle" bench echo http --listen $echo_http >/dev/null 2>>"$work/log" &
echo_http_pid=$! && pids+=("$echo_http_pid")
"$waggle" bench hashes >"$work/whitelist.txt"
taskset -c 0 opentracker -i ${other%:*} -p ${other#*:} -P ${other#*:} -u nobody -d "$work" -w /whitelist.txt >/dev/null 2>>"$work/log" &
opentracker_pid=$! && pids+=("$opentracker_pid")

serve 0
title "UDP announces, one core: waggle against an echo that does no work (goal: 0.80)"
load udp udp://$tracker --pid "$served" --against udp://$echo_udp --pid-against "$echo_udp_pid"
title "UDP announces, one core: waggle against opentracker (goal: 1.6)"
load udp udp://$tracker --pid "$served" --against udp://$other --pid-against "$opentracker_pid"
title "HTTP announces, keep-alive: waggle against a bare net/http handler (goal: above 1)"
load http http://$tracker/announce --pid "$served" --against http://$echo_http/announce --pid-against "$echo_http_pid"
title "HTTP announces: waggle with keep-alive against opentracker, which closes (goal: 3)"
load http http://$tracker/announce --pid "$served" --against http://$other/announce --pid-against "$opentracker_pid"
title "HTTP announces, a connection each: waggle against opentracker (goal: 1.2)"
load http http://$tracker/announce --no-keepalive --pid "$served" --against http://$other/announce --pid-against "$opentracker_pid"
stop "$served"

title "UDP announces: one core, then both beside the load; compare answers per CPU second (goal: 1.8 of 2)"
serve 0
taskset -c 1 "$waggle" bench udp udp://$tracker --pid "$served" --sockets 16 --rounds "$rounds" --duration "$duration" 2>>"$work/log"
stop "$served"
serve 0,1
"$waggle" bench udp udp://$tracker --pid "$served" --sockets 16 --rounds "$rounds" --duration "$duration" 2>>"$work/log"
stop "$served"

title "resident memory at 1,000,000 torrents and 2,000,000 peers (goal: 200 MiB)"
serve 0
taskset -c 1 "$waggle" bench udp udp://$tracker --distribution aquatic --pid "$served" --rounds 1 --duration 1s 2>>"$work/log"
stop "$served"
