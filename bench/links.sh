#!/usr/bin/env bash
# Prints what links cost and carry: announces a second over UDP of a tracker with a leaf
# against those of one without, in turn within one run; how many changes of peers a second
# pass one link, and how late at half of that; and how long a leaf that begins with nothing
# needs for a million peers. All traffic is on loopback.
#
#   bench/links.sh WAGGLE [cost] [changes] [heal]      (make bench builds it; without parts: all)
#
# For the cost the trackers run on core 0, load and leaf on core 1; the ratios in the row of
# medians are the medians of the rounds' own. Changes are announces of
# which each is of a peer that comes or leaves, at rates that double until the link does not
# keep up. Generator, hub and leaf share the machine then, so what it can do is more where
# there are more cores.
#
# ROUNDS, DURATION in seconds and PEERS of the heal may be set in the environment.
set -euo pipefail
export LC_ALL=C # numbers have a point

waggle=$(realpath "${1:?usage: bench/links.sh WAGGLE [cost] [changes] [heal]}")
shift
parts=("$@")
rounds=${ROUNDS:-5} duration=${DURATION:-5} peers=${PEERS:-1000000}
if [ "$(id -u)" = 0 ]; then renice -n -20 $$ >/dev/null; fi
work=$(mktemp -d)
declare -A pid=()
finish() {
	kill "${pid[@]}" 2>/dev/null || true
	wait "${pid[@]}" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

hub=17201 leaf=17211 alone=17221 # and the console one above, and the hub's link two above

# serve NAME PORT CORES FLAGS... starts a tracker with its swarms in memory.
serve() {
	local name=$1 port=$2 cores=$3
	shift 3
	: >"$work/$name"
	(cd "$work" && exec taskset -c "$cores" "$waggle" serve --store memory: --listen-udp "127.0.0.1:$port" --listen-http "127.0.0.1:$port" \
		--listen-console "127.0.0.1:$((port + 1))" --limits-peers 0 --limits-torrents 0 \
		--link-name "$name" --link-directory "$work/$name.links" --link-max-peers 20M "$@") >"$work/$name" 2>>"$work/$name.log" &
	pid[$name]=$!
	until grep -q ^ready "$work/$name"; do
		kill -0 "${pid[$name]}" || { cat "$work/$name.log" >&2; exit 1; }
		sleep 0.05
	done
}

stop() {
	kill "-${2:-TERM}" "${pid[$1]}"
	wait "${pid[$1]}" 2>/dev/null || true
	unset "pid[$1]"
}

# links PORT FILTER prints something of what a tracker has of its links.
links() { curl -sf "http://127.0.0.1:$(($1 + 1))/api/v1/links" | jq -r "$2"; }

# pair CORES-OF-HUB CORES-OF-LEAF starts both with nothing, and links them.
pair() {
	rm -rf "$work"/*.links
	serve hub $hub "$1" --link-listen "127.0.0.1:$((hub + 2))"
	serve leaf $leaf "$2"
	"$waggle" link invite leaf --console "http://127.0.0.1:$((hub + 1))" 2>>"$work/log" |
		"$waggle" link join - --console "http://127.0.0.1:$((leaf + 1))" >>"$work/log"
	until [ "$(links $leaf '.links[0].state')" = active ]; do sleep 0.1; done
}

# settled waits until the leaf knows all peers of the hub, for two minutes at most.
settled() {
	local own relayed deadline=$((SECONDS + 120))
	until own=$(links $hub .own) relayed=$(links $leaf .relayed) && [ "$relayed" = "$own" ]; do
		if [ $SECONDS -gt $deadline ]; then
			echo "the leaf knows $relayed of $own peers after two minutes" >&2
			links $leaf . >&2
			exit 1
		fi
		sleep "${1:-0.2}"
	done
}

load() { "$waggle" bench udp "udp://127.0.0.1:$1" "${@:2}" --json 2>>"$work/log"; }
ratio() { awk "BEGIN { print $1 / $2 }"; }
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
busy() { awk '{printf "load average %s\n", $1}' /proc/loadavg; }

# compare TITLE FLAGS... prints rounds of the unlinked tracker and of the linked one.
compare() {
	local title=$1 round name port
	shift
	printf '\n== UDP announces%s, one core: with a leaf against without (goal: 0.85)\n' "$title"
	printf '%-7s %12s %12s %7s %18s %18s %7s\n' round "without/s" "with/s" ratio "without/CPU s" "with/CPU s" ratio
	rm -f "$work"/rate.* "$work"/cpu.* "$work"/ratio.*
	for ((round = 1; round <= rounds; round++)); do
		for name in alone hub; do
			port=${!name}
			load "$port" "${crowd[@]}" --seed "$round" --announces 1 >/dev/null
			if [ "$name" = hub ]; then settled; fi
			taskset -c 1 "$waggle" bench udp "udp://127.0.0.1:$port" "${crowd[@]}" "$@" --fill=false --rounds 1 --duration "${duration}s" \
				--seed "$round" --pid "${pid[$name]}" --json 2>>"$work/log" >"$work/round"
			jq '.results[0].median.answers_per_second' "$work/round" >>"$work/rate.$name"
			jq '.results[0].median.answers_per_server_cpu_second' "$work/round" >>"$work/cpu.$name"
		done
		for name in rate cpu; do ratio "$(tail -1 "$work/$name.hub")" "$(tail -1 "$work/$name.alone")" >>"$work/ratio.$name"; done
		row "$round" "tail -1"
	done
	row median median
	busy
}

# row NAME COMMAND prints a row of what a command makes of all rounds.
row() {
	local name figures=()
	for name in rate.alone rate.hub ratio.rate cpu.alone cpu.hub ratio.cpu; do figures+=("$($2 <"$work/$name")"); done
	printf '%-7s %12.0f %12.0f %7.2f %18.0f %18.0f %7.2f\n' "$1" "${figures[@]}"
}

cost() {
	pair 0 1
	serve alone $alone 0
	crowd=(--torrents 20000 --peers 100000)
	compare " of peers that stay"
	compare ", of which 1 in 20 ends a stay" --churn 0.05
	stop alone
	stop leaf
	stop hub
}

# watch samples the link some three times a second until its file is gone: time in seconds,
# changes out of the hub, changes that wait, lag, heals, changes into the leaf.
watch() {
	while [ -e "$work/watching" ]; do
		echo "$EPOCHREALTIME $(links $hub '.links[0] | "\(.totals.changes_out) \(.waiting) \(.lag_seconds) \(.totals.heals)"') $(links $leaf '.links[0].totals.changes_in')"
		sleep 0.25
	done >"$work/samples"
}

# through RATE has peers come and leave, and prints what that was on the link: announces and
# changes that passed a second, the most that waited, the lag of all samples, heals.
through() {
	: >"$work/watching"
	watch &
	local watching=$!
	sleep 0.5
	load $hub --torrents 10000 --peers 200000 --fill=false --churn 1 --rate "$1" --window 512 --duration "${duration}s" --seed "$1" >"$work/round"
	rm "$work/watching"
	wait "$watching"
	offered=$(jq '.results[0].median.answers_per_second | floor' "$work/round")
	read -r passed waited lag lag_most heals < <(awk '
		NR == 1 { first = $6; healed = $5 }
		$6 > first && !begun { begun = NR + 1 }
		$6 > taken { taken = $6; ended = NR - 1 } # when nothing comes any more, the load is over
		{ at[NR] = $1; in_[NR] = $6; lag[NR] = $4; heals = $5 - healed; if ($3 > most) most = $3 }
		END {
			if (ended > begun) rate = (in_[ended] - in_[begun]) / (at[ended] - at[begun])
			for (i = begun; i <= ended; i++) {
				for (j = ++n; j > 1 && sorted[j - 1] > lag[i]; j--) sorted[j] = sorted[j - 1]
				sorted[j] = lag[i]
			}
			printf "%d %d %.4f %.4f %d\n", rate, most, sorted[int((n + 1) / 2)], sorted[n], heals
		}' "$work/samples")
	printf '%10d %14d %14d %10d %9.1f ms %9.1f ms %6d\n' "$1" "$offered" "$passed" "$waited" \
		"$(awk "BEGIN {print 1000 * $lag}")" "$(awk "BEGIN {print 1000 * $lag_most}")" "$heals"
}

changes() {
	local rate most=0
	pair 0,1 0,1
	printf '\n== changes of peers over one link (goals: 100,000 a second; at half of that, lag under 200 ms)\n'
	printf '%10s %14s %14s %10s %12s %12s %6s\n' rate "announces/s" "changes/s" waiting "lag median" "lag most" heals
	for rate in 12500 25000 50000 100000 200000; do
		through $rate
		if [ "$passed" -gt "$most" ]; then most=$passed; fi
		settled
		if [ "$passed" -lt $((rate * 8 / 10)) ]; then break; fi
	done
	echo "the most that passed: $most changes a second; at half of that:"
	through $((most / 2))
	settled
	busy
	stop leaf
	stop hub
}

heal() {
	local began took
	pair 0,1 0,1
	load $hub --torrents 100000 --peers "$peers" --announces 1 >/dev/null
	settled 0.5
	stop leaf KILL
	serve leaf $leaf 0,1
	began=$EPOCHREALTIME
	settled
	took=$(awk "BEGIN {printf \"%.1f\", $EPOCHREALTIME - $began}")
	until [ "$(links $leaf '.links[0].state')" = active ]; do sleep 0.1; done
	printf '\n== a leaf that begins with nothing (goal: 20 s for a million peers)\n'
	printf '%s peers: known after %s s, healed in %s s (%s that were missing)\n' "$(links $leaf .relayed)" "$took" \
		"$(links $leaf '.links[0].last_heal.took_seconds // "?"')" "$(links $leaf '.links[0].last_heal.entries // "?"')"
	busy
	stop leaf
	stop hub
}

if [ ${#parts[@]} -eq 0 ]; then parts=(cost changes heal); fi
for part in "${parts[@]}"; do
	case $part in
	cost | changes | heal) "$part" ;;
	*) echo "$part is none of cost, changes and heal" >&2 && exit 2 ;;
	esac
done
