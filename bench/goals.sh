#!/usr/bin/env bash
# Prints the figures of docs/performance.md: waggle against an echo that does no
# work and against opentracker, the server on core 0 and the load on core 1, each
# pair in turn within one run. Needs root, for opentracker's chroot; all traffic
# is on loopback.
#
#   bench/goals.sh WAGGLE      (make bench builds it and installs opentracker)
#
# It takes half an hour and 10 GB of memory for the load with 50 million
# peers. aquatic_udp and aquatic_http are compared with where PATH has them
# (cargo install aquatic_udp aquatic_http). All run at the highest priority, so
# that little else on the machine is measured.
#
# ROUNDS and DURATION of a comparison may be set in the environment.
set -euo pipefail

waggle=$1
rounds=${ROUNDS:-5} duration=${DURATION:-5s}
renice -n -20 $$ >/dev/null
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
aquatic_udp=127.0.0.1:17005 aquatic_http=127.0.0.1:17006

# serve starts waggle on cores, with a store and flags, and leaves its process in
# $served and how long that took in $took.
serve() {
	local cores=$1 store=$2 began=$EPOCHREALTIME
	shift 2
	taskset -c "$cores" "$waggle" serve --store "$store" --listen-udp $tracker --listen-http $tracker --listen-console off \
		--torrents-peer-details=false --limits-peers 0 --limits-torrents 0 "$@" >"$work/serve" 2>>"$work/log" &
	served=$!
	pids+=("$served")
	until grep -q ^ready "$work/serve"; do
		kill -0 "$served" || { cat "$work/log" >&2; exit 1; }
		sleep 0.05
	done
	took=$(awk "BEGIN {print $EPOCHREALTIME - $began}")
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

serve 0 memory:
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

# aquatic compares with a tracker of aquatic's, if it is there.
aquatic() {
	local protocol=$1 address=$2 url=$3 against=$4
	command -v "aquatic_$protocol" >/dev/null || { echo "aquatic_$protocol is not on PATH"; return; }
	printf '[network]\naddress = "%s"\n' "$address" >"$work/aquatic.toml"
	taskset -c 0 "aquatic_$protocol" -c "$work/aquatic.toml" >/dev/null 2>>"$work/log" &
	local pid=$!
	pids+=("$pid")
	sleep 1
	load "$protocol" "$url" --pid "$served" --against "$against" --pid-against "$pid"
	stop "$pid"
}
serve 0 memory:
title "UDP announces, one core: waggle against aquatic_udp"
aquatic udp $aquatic_udp udp://$tracker udp://$aquatic_udp
title "HTTP announces, keep-alive: waggle against aquatic_http"
aquatic http $aquatic_http http://$tracker/announce http://$aquatic_http/announce
stop "$served"

# So many under way that no core waits for requests: short queues make small batches, which cost more an answer.
many=(--sockets 16 --window 96)
title "UDP announces: one core, then both beside the load; compare answers per CPU second (goal: 1.8 of 2)"
serve 0 memory:
taskset -c 1 "$waggle" bench udp udp://$tracker --pid "$served" "${many[@]}" --rounds "$rounds" --duration "$duration" 2>>"$work/log"
stop "$served"
serve 0,1 memory:
"$waggle" bench udp udp://$tracker --pid "$served" "${many[@]}" --rounds "$rounds" --duration "$duration" 2>>"$work/log"
stop "$served"
title "the echo likewise: what two cores are to the kernel, with the load beside"
taskset -c 1 "$waggle" bench udp udp://$echo_udp --pid "$echo_udp_pid" "${many[@]}" --rounds "$rounds" --duration "$duration" 2>>"$work/log"
stop "$echo_udp_pid"
"$waggle" bench echo udp --listen $echo_udp --sockets 2 >/dev/null 2>>"$work/log" &
echo_udp_pid=$! && pids+=("$echo_udp_pid")
sleep 1
"$waggle" bench udp udp://$echo_udp --pid "$echo_udp_pid" "${many[@]}" --rounds "$rounds" --duration "$duration" 2>>"$work/log"
stop "$echo_udp_pid"
taskset -c 0 "$waggle" bench echo udp --listen $echo_udp >/dev/null 2>>"$work/log" &
echo_udp_pid=$! && pids+=("$echo_udp_pid")

title "UDP announces at 60,000/s: alone, then beside 120,000 spoofed packets/s (goal: 90 % of the answers)"
serve 0 memory:
load udp udp://$tracker --pid "$served" --rate 60000
load udp udp://$tracker --pid "$served" --rate 60000 --fill=false --spoofed 120000
stop "$served"

# filled prints the memory at a number of peers, by bench's flags and, behind --,
# those of serve.
filled() {
	local bench=()
	while [ "$1" != -- ]; do
		bench+=("$1")
		shift
	done
	shift
	serve 0 memory: "$@"
	taskset -c 1 "$waggle" bench udp udp://$tracker "${bench[@]}" --pid "$served" --rounds 1 --duration 1s 2>>"$work/log" | grep -B 1 -A 1 filled
	stop "$served"
}

title "resident memory at 1,000,000 torrents and 2,000,000 peers (goal: 200 MiB)"
filled --distribution aquatic --
title "resident memory at 1, 10 and 50 million peers of up to 1 million torrents (goal at 10: 40 B a peer)"
filled --torrents 100000 --peers 1000000 --
filled --torrents 1000000 --peers 10000000 --
filled --torrents 1000000 --peers 50000000 --
title "the same at 10 million with all details (goal: 112 B a peer)"
filled --torrents 1000000 --peers 10000000 -- --torrents-peer-details=true

title "p99.9 at half load with 10 million peers and the journal, then that of the echo at the same rate (goal: 2 ms)"
big=(--torrents 1000000 --peers 10000000)
serve 0 "sqlite://$work/waggle.db"
taskset -c 1 "$waggle" bench udp udp://$tracker "${big[@]}" --pid "$served" --rounds 1 --duration 3s 2>>"$work/log" | tee "$work/peak"
half=$(awk 'NF > 10 && $1 == 1 {gsub(",", "", $2); print int($2 / 2)}' "$work/peak")
# Seven rounds of 10 s, in which the peers are looked through for silent ones once.
taskset -c 1 "$waggle" bench udp udp://$tracker "${big[@]}" --pid "$served" --fill=false --rate "$half" --rounds 7 --duration 10s 2>>"$work/log"
taskset -c 1 "$waggle" bench udp udp://$echo_udp --fill=false --rate "$half" --rounds 7 --duration 2s 2>>"$work/log"
stop "$served"

title "restart with 10 million peers in the journal (goal: 30 s)"
serve 0,1 "sqlite://$work/waggle.db"
grep 'read back' "$work/log" | tail -n 1
echo "ready after $took s"
stop "$served"
