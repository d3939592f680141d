#!/bin/sh
# Runs the tests with coverage and prints the line coverage of each library; fails where Bytecode, Verifier or Compiler
# has less than 90 %. Arguments are test projects; default: those that test these three.
set -eu
cd "$(dirname "$0")/.."
out=artifacts/coverage
rm -rf "$out"
mkdir -p "$out"
[ $# -gt 0 ] || set -- Bytecode Verifier Compiler Runtime Conformance Differential Engine Cli
for name; do
  project=tests/UringBpf.$name.Tests
  dotnet build "$project" -c Release -v q -nologo
  "$project/bin/Release/net10.0/UringBpf.$name.Tests" --coverage --coverage-output-format cobertura \
    --coverage-output "$PWD/$out/$name.xml" --results-directory "$PWD/$out" --progress off > "$out/$name.log" || { tail -n 40 "$out/$name.log"; exit 1; }
done
# A line counts as covered if any of the projects ran it.
awk -v least=90 '
  /<package / { match($0, /name="[^"]*"/); package = substr($0, RSTART + 6, RLENGTH - 7); sub(/\.dll$/, "", package) }
  /<class / { match($0, /filename="[^"]*"/); file = substr($0, RSTART + 10, RLENGTH - 11) }
  /<line / {
    match($0, /number="[0-9]+"/); number = substr($0, RSTART + 8, RLENGTH - 9)
    match($0, /hits="[0-9]+"/); hits = substr($0, RSTART + 6, RLENGTH - 7)
    key = package SUBSEP file SUBSEP number
    if (!(key in lines)) { lines[key] = 0; total[package]++ }
    if (hits > 0 && lines[key] == 0) { lines[key] = 1; covered[package]++ }
  }
  END {
    status = 0
    for (package in total) {
      name = tolower(package)
      if (name !~ /^uringbpf/ || name ~ /tests$/) continue
      percent = 100 * covered[package] / total[package]
      printf "%-22s %6.2f %%  (%d of %d lines)\n", package, percent, covered[package], total[package] | "sort"
      if (name ~ /\.(bytecode|verifier|compiler)$/ && percent < least) status = 1
    }
    close("sort")
    exit status
  }' "$out"/*.xml
