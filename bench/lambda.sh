#!/usr/bin/env bash
# Prints the figures of docs/serverless.md: how long a function takes to answer at a
# cold start, and how many announce events a second go through the real binary, asked
# by a runtime API on loopback, with its store in memory. The runtime API takes as much
# of the machine as the function does.
#
#   bench/lambda.sh WAGGLE      (make bench builds it)
set -euo pipefail

export INTEROP_WAGGLE
INTEROP_WAGGLE=$(realpath "${1:?usage: bench/lambda.sh WAGGLE}")
rounds=${ROUNDS:-5} duration=${DURATION:-5s}
cd "$(dirname "$0")/.."
if [ "$(id -u)" = 0 ]; then renice -n -20 $$ >/dev/null; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/interop" ./interop
cd interop

title() { printf '\n== %s\n' "$1"; }

title "The first answer of a function, from the start of its process (memory: VmHWM)"
for ((round = 1; round <= rounds; round++)); do
	"$work/interop" -test.run AColdStart -test.v | sed -n 's/.*: first answer after/first answer after/p'
done

measure() {
	"$work/interop" -test.run '^$' -test.bench FunctionAnnounces -test.benchtime "$duration" -test.count "$rounds" "$@" | grep '^Benchmark'
}

title "Announce events, one process with one event at a time"
measure
title "Announce events, four processes with one event at a time each, as Lambda has them (goal: 5,000/s)"
measure -lambda.environments 4
title "Announce events, one process with four at a time (AWS_LAMBDA_MAX_CONCURRENCY)"
measure -lambda.concurrency 4

title "What the front itself takes of an announce event"
cd ..
go test -run '^$' -bench Invoke -benchmem ./frontend/lambda | grep '^Benchmark'
