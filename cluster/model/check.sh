#!/usr/bin/env bash
# Checks the models, each within some minutes and 3.5 GB: those that hold, whole; and with what is
# broken on purpose, that the model notices. Needs spin and gcc.
#
#   cluster/model/check.sh [NAME]    all, or those whose name has this in it
set -euo pipefail
cd "$(dirname "$0")"
models=$PWD only=${1:-} failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# check NAME holds|fails MODEL [DEFINE..] builds and runs a model, and looks whether it does.
check() {
	local name=$1 want=$2 model=$3 is
	shift 3
	[[ $name == *"$only"* ]] || return 0
	rm -f -- *.trail
	spin -a "${@/#/-D}" "$models/$model.pml" >spin.log || { cat spin.log; exit 1; }
	gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=3500 -o pan pan.c
	./pan -m3000000 -w25 >pan.log
	if grep -q 'errors: 0' pan.log && ! grep -q 'not completed\|too small' pan.log; then is=holds
	elif grep -q 'assertion violated' pan.log; then is=fails
	else is=unfinished
	fi
	printf '%-44s %-10s %10s states %8s deep %7s s %5.0f MB\n' "$name" "$is" \
		"$(awk '/states, stored/ {print $1; exit}' pan.log)" "$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' pan.log)" \
		"$(awk '/elapsed time/ {print $4; exit}' pan.log)" "$(awk '/total actual memory/ {print $1; exit}' pan.log)"
	[ "$is" = "$want" ] || { echo "$name $is: want $want" >&2; failed=1; }
}

check 'election'                              holds election
check 'election: counts itself twice'         fails election COUNTS_ITSELF_TWICE
check 'election: the settled keep silent'     fails election SILENT
check 'election: any master will do'          fails election ANY_MASTER_WILL_DO

check 'one request, two die'                  holds commit ASKS=1 DEATHS=2 REPEATS=1
check 'one request, 2 joins, two die'         holds commit ASKS=1 DEATHS=2 JOINS=2
check 'one request, 1 joins, two die'         holds commit ASKS=1 DEATHS=2 JOINS=1
check 'one request of a client, two die'      holds commit ASKS=1 DEATHS=2 CLIENT=2
check 'one request, one dies, one cut off'    holds commit ASKS=1 DEATHS=1 CUTS=1
check 'one request, two cut off'              holds commit ASKS=1 DEATHS=0 CUTS=2 SECONDS=0
check 'two requests'                          holds commit DEATHS=0
check 'two requests, of two one dies'         holds commit SIZE=2 JOINS=1
check 'two requests within a second, the same' holds commit SIZE=2 JOINS=1 CLOSE
check 'two requests, of two one is cut off'   holds commit SIZE=2 CUTS=1
check 'two requests of a client, one dies'    holds commit SIZE=2 JOINS=1 CLIENT=1
check 'two requests of a client within a second' holds commit SIZE=2 DEATHS=0 CLIENT=1 CLOSE

check 'records nothing, and says DS-done'     fails commit ASKS=1 DEATHS=1 FORGETS
check 'serves before it has read'             fails commit ASKS=1 DEATHS=2 JOINS=1 SERVES_AT_ONCE
check 'does not wait for whom it has read'    fails commit ASKS=1 DEATHS=2 JOINS=2 NO_WAIT
check 'does not distrust who comes back'      fails commit ASKS=1 DEATHS=0 CUTS=2 SECONDS=0 TRUSTS
check 'answers what is not done by all'       fails commit ASKS=1 DEATHS=1 DONE_BEFORE_ALL
check 'takes any commit for the one it knows' fails commit ASKS=1 DEATHS=0 CUTS=2 SECONDS=0 DONE_AT_ANY_TIME
check 'an older request wins'                 fails commit SIZE=2 JOINS=1 CLOSE OLDER_WINS
check 'takes any row for what was asked'      fails commit SIZE=2 JOINS=1 CLIENT=1 CLOSE HAS_ANY DEATHS=0
check 'the last row wins'                     fails commit SIZE=2 JOINS=1 LAST_WINS
check 'passes a second request on too early'  fails commit SIZE=2 DEATHS=0 CLIENT=1 CLOSE OUT_OF_TURN
exit $failed
