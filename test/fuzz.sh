#!/bin/sh
# fuzz.sh runs every fuzz target of the repository for FUZZTIME, one after the other. With FUZZTIME=0 it runs none: `go test`
# has tried the kept inputs already.
set -eu

cd "$(dirname "$0")/.."
time=${FUZZTIME:-10s}
go=${GO:-go}

[ "$time" != 0 ] || exit 0

grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
		echo "fuzz $(dirname "$file") $target $time"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$(dirname "$file")" </dev/null
	done
done
