#!/bin/sh
# Lists the whole public API: writes PublicAPI.Unshipped.txt in each library, and docs/public-api.md from the lists and the
# XML documentation. With --page only the page.
set -eu
cd "$(dirname "$0")/.."
libraries="runtime/UringBpf.Bytecode runtime/UringBpf.Runtime verifier/UringBpf.Verifier compiler/UringBpf.Compiler ring/UringBpf.Ring ring/UringBpf"
if [ "${1:-}" != --page ]; then
  for library in $libraries; do
    [ -e "$library/PublicAPI.Shipped.txt" ] || printf '#nullable enable\n' > "$library/PublicAPI.Shipped.txt"
    printf '#nullable enable\n' > "$library/PublicAPI.Unshipped.txt"
    dotnet restore "$library" -v q
    dotnet format analyzers "$library" --no-restore --diagnostics RS0016 RS0036 RS0037 --severity warn
    printf '%s: %s members\n' "$library" "$(grep -cv '^#' "$library/PublicAPI.Unshipped.txt")"
  done
fi
UPDATE_DOCS=1 dotnet run -c Release --project tests/UringBpf.Cli.Tests -- --filter-class '*PublicApiPageTests'
