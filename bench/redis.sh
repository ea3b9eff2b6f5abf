#!/usr/bin/env bash
# Prints what the Redis store makes of a Redis server: announces a second through the
# store, and through a whole tracker, against how often redis-benchmark gets the store's
# own announce script done, in turn within one run. All traffic is on loopback.
#
#   bench/redis.sh [WAGGLE]      (without a binary the store alone is measured)
#
# There are 100 torrents of 500 peers, of which any announces and wants 30;
# redis-benchmark announces one of each torrent's. The tracker's load has 50,000 peers in
# 1,000 torrents by rank, so that most announces are of swarms of that size too.
#
# ROUNDS and DURATION in seconds may be set in the environment.
set -euo pipefail

waggle=${1:+$(realpath "$1")} rounds=${ROUNDS:-3} duration=${DURATION:-5}
if [ "$(id -u)" = 0 ]; then renice -n -20 $$ >/dev/null; fi
cd "$(dirname "$0")/.."
work=$(mktemp -d)
pids=()
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	wait "${pids[@]}" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

port=17021 tracker=127.0.0.1:17022
redis-server --port $port --bind 127.0.0.1 --save '' --dir "$work" --loglevel warning >"$work/redis" &
pids+=("$!")
until redis-cli -p $port PING >/dev/null 2>&1; do
	kill -0 "${pids[0]}" || { cat "$work/redis" >&2; exit 1; }
	sleep 0.05
done
go test -c -o "$work/store" ./store/redis

# script_rate prints how many announces a second redis-benchmark gets done.
script_rate() {
	local sha record="1234567890 123456789 123456789 12345678 - compact -WG0001-000000000007"
	sha=$(cd store/redis/scripts && cat counts.lua groups.lua sample.lua put.lua announce.lua | redis-cli -p $port -x SCRIPT LOAD)
	redis-benchmark -p $port -c 2 -P 64 -n $((duration * 30000)) -r 100 --csv \
		EVALSHA "$sha" 2 "bench:{00}:0000000000000000000000000000__rand_int__" "bench:{00}:never" \
		10.0.0.7:6881 l4 1800000000 "$record" 4 l 30 1 __rand_int__ 2>/dev/null | tail -1 | awk -F, '{gsub("\"", "", $(NF-6)); print int($(NF-6))}'
}

# store_rate prints how many announces a second the store gets done.
store_rate() {
	(cd store/redis && WAGGLE_BENCH_REDIS=redis://127.0.0.1:$port "$work/store" \
		-test.run '^$' -test.bench 'BenchmarkAnnounce/512' -test.benchtime "${duration}s") |
		awk '/announces\/s/ { for (i = 1; i < NF; i++) if ($(i + 1) == "announces/s") print int($i) }'
}

# tracker_rate prints how many announces a second a whole tracker answers over UDP.
tracker_rate() {
	"$waggle" bench udp udp://$tracker --torrents 1000 --peers 50000 --duration "${duration}s" --json |
		jq -r '.results[0].median.answers_per_second | floor'
}

if [ -n "$waggle" ]; then
	: >"$work/serve"
	(cd "$work" && exec "$waggle" serve --store "redis://127.0.0.1:$port?prefix=serve" --listen-udp $tracker \
		--listen-http $tracker --listen-console 127.0.0.1:17023 --limits-peers 0 --limits-torrents 0) >"$work/serve" 2>"$work/log" &
	served=$!
	pids+=("$served")
	until grep -q ^ready "$work/serve"; do
		kill -0 "$served" || { cat "$work/log" >&2; exit 1; }
		sleep 0.05
	done
fi

store_rate >/dev/null # fills the server
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }
for ((round = 1; round <= rounds; round++)); do
	script=$(script_rate) store=$(store_rate)
	echo "redis-benchmark $script/s, store $store/s, ratio $(ratio "$store" "$script")"
	if [ -n "$waggle" ]; then
		whole=$(tracker_rate)
		echo "redis-benchmark $script/s, tracker over UDP $whole/s, ratio $(ratio "$whole" "$script")"
	fi
done
echo "goal: ratio >= 0.60"
