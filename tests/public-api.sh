#!/bin/sh
# Lists the whole public API: writes PublicAPI.Unshipped.txt in each library, and all of them as docs/public-api.md.
# With --page only the page, from the lists as they are.
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
{
  echo '# The public API'
  echo
  echo 'Every public type and member, as `tests/public-api.sh` lists them. What each means is in its XML documentation.'
  for library in $libraries; do
    printf '\n## %s\n\n```text\n' "$(basename "$library")"
    cat "$library/PublicAPI.Shipped.txt" "$library/PublicAPI.Unshipped.txt" | grep -v '^#' | LC_ALL=C sort
    printf '```\n'
  done
} > docs/public-api.md
