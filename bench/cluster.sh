#!/usr/bin/env bash
# Prints whether trackers on one Redis Cluster scale: announces a second through one
# tracker and through two, on a cluster of three nodes, and through two trackers on a
# cluster and on one node. All are on this machine and on loopback; so that the machine
# is not the limit, each process that is measured has a share of a core alone, by a
# control group (version 1 or 2; needs root).
#
#   bench/cluster.sh WAGGLE
#
# SHARE in percent of a core, ROUNDS and DURATION in seconds may be set in the environment.
set -euo pipefail

waggle=$(realpath "${1:?usage: bench/cluster.sh WAGGLE}") share=${SHARE:-10} rounds=${ROUNDS:-3} duration=${DURATION:-5}
work=$(mktemp -d)
pids=() groups=()
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	wait "${pids[@]}" 2>/dev/null || true
	for group in "${groups[@]}"; do rmdir "$group" 2>/dev/null || true; done
	rm -rf "$work"
}
trap finish EXIT

# limit NAME PERCENT PID gives a process a share of a core.
limit() {
	local group
	if [ -d /sys/fs/cgroup/cpu ]; then
		group=/sys/fs/cgroup/cpu/waggle-bench-$$-$1
		mkdir -p "$group"
		echo 10000 >"$group/cpu.cfs_period_us"
		echo $((100 * $2)) >"$group/cpu.cfs_quota_us"
	else
		group=/sys/fs/cgroup/waggle-bench-$$-$1
		mkdir -p "$group"
		echo "$((100 * $2)) 10000" >"$group/cpu.max"
	fi
	echo "$3" >"$group/cgroup.procs"
	groups+=("$group")
}

# node NAME PORT PERCENT FLAGS... starts a Redis.
node() {
	local name=$1 port=$2 percent=$3
	shift 3
	mkdir -p "$work/$name"
	redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$work/$name" --loglevel warning "$@" >"$work/$name/log" &
	pids+=("$!")
	local pid=$!
	until redis-cli -p "$port" PING >/dev/null 2>&1; do
		kill -0 "$pid" || { cat "$work/$name/log" >&2; exit 1; }
		sleep 0.05
	done
	if [ "$percent" -gt 0 ]; then limit "$name" "$percent" "$pid"; fi
}

# tracker NAME PORT PERCENT STORE starts a waggle.
tracker() {
	: >"$work/$1"
	(cd "$work" && exec "$waggle" serve --store "$4" --listen-udp "127.0.0.1:$2" --listen-http "127.0.0.1:$2" \
		--listen-console off --limits-peers 0 --limits-torrents 0) >"$work/$1" 2>"$work/$1.log" &
	local pid=$!
	pids+=("$pid")
	until grep -q ^ready "$work/$1"; do
		kill -0 "$pid" || { cat "$work/$1.log" >&2; exit 1; }
		sleep 0.05
	done
	if [ "$3" -gt 0 ]; then limit "$1" "$3" "$pid"; fi
}

# rate PORT... prints the announces a second through trackers at once.
rate() {
	local port jobs=()
	for port in "$@"; do
		"$waggle" bench udp "udp://127.0.0.1:$port" --torrents 1000 --peers 10000 --duration "${duration}s" --json >"$work/rate.$port" 2>"$work/rate.$port.log" &
		jobs+=("$!")
	done
	wait "${jobs[@]}"
	for port in "$@"; do jq '.results[0].median.answers_per_second' "$work/rate.$port"; done | awk '{ sum += $1 } END { print int(sum) }'
}
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

# Nodes with all that they need, trackers with a share: what another tracker brings.
for n in 1 2 3; do
	node "wide$n" $((17110 + n)) 0 --cluster-enabled yes --cluster-config-file nodes.conf
	node "tight$n" $((17120 + n)) "$share" --cluster-enabled yes --cluster-config-file nodes.conf
done
node single 17130 "$share"
for kind in 1711 1712; do
	redis-cli --cluster create 127.0.0.1:${kind}1 127.0.0.1:${kind}2 127.0.0.1:${kind}3 --cluster-yes >"$work/create" || { cat "$work/create" >&2; exit 1; }
	for n in 1 2 3; do until redis-cli -p "$kind$n" CLUSTER INFO | grep -q cluster_state:ok; do sleep 0.1; done; done
done
wide=redis+cluster://127.0.0.1:17111,127.0.0.1:17112,127.0.0.1:17113
tight=redis+cluster://127.0.0.1:17121,127.0.0.1:17122,127.0.0.1:17123
tracker first 17141 "$share" $wide
tracker second 17142 "$share" $wide
tracker third 17151 0 $tight
tracker fourth 17152 0 $tight
tracker fifth 17161 0 redis://127.0.0.1:17130/0
tracker sixth 17162 0 redis://127.0.0.1:17130/0

for ((round = 1; round <= rounds; round++)); do
	one=$(rate 17141) two=$(rate 17141 17142)
	echo "trackers with $share % of a core each, three nodes: one $one/s, two $two/s, ratio $(ratio "$two" "$one")"
	single=$(rate 17161 17162) three=$(rate 17151 17152)
	echo "nodes with $share % of a core each, two trackers: one node $single/s, three nodes $three/s, ratio $(ratio "$three" "$single")"
done
