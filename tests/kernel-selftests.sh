#!/usr/bin/env bash
# Measures the verifier against the running kernel's, on the kernel's own verifier tests.
#
#   tests/kernel-selftests.sh [--files 'verifier_[a-m]*'] [--work DIR]
#
# Needs root (bpf(2)), Debian's packages linux-source-6.12 (fetched into DIR), clang-19, bpftool and python3. Nothing of
# the kernel's source is kept in this repository. Every program whose type, helpers and map types this engine has is put
# before both verifiers; the summary counts agreements and lists every disagreement with both reasons.
set -euo pipefail

files='verifier_[a-m]*'
work=${TMPDIR:-/tmp}/uringbpf-selftests
while [ $# -gt 0 ]; do
  case $1 in
    --files) files=$2; shift 2 ;;
    --work) work=$2; shift 2 ;;
    *) echo "usage: $0 [--files PATTERN] [--work DIR]" >&2; exit 2 ;;
  esac
done
repo=$(cd "$(dirname "$0")/.." && pwd)

for tool in clang-19 bpftool python3 dpkg-deb; do
  command -v $tool >/dev/null || { echo "$tool is not installed (Debian packages clang-19, bpftool, python3, dpkg)" >&2; exit 2; }
done
mkdir -p "$work/include/bpf" "$work/objects"
source_dir=$work/linux-source-6.12

if [ ! -d "$source_dir" ]; then
  (cd "$work" && apt-get download -q linux-source-6.12 && dpkg-deb --fsys-tarfile linux-source-6.12_*.deb | tar -x ./usr/src/linux-source-6.12.tar.xz)
  tar -xf "$work/usr/src/linux-source-6.12.tar.xz" -C "$work" --wildcards \
    'linux-source-6.12/tools/testing/selftests/bpf/*' 'linux-source-6.12/tools/lib/bpf/*' \
    'linux-source-6.12/scripts/bpf_doc.py' 'linux-source-6.12/include/uapi/linux/*'
  rm -rf "$work/usr" "$work"/linux-source-6.12_*.deb
fi

bpftool btf dump file /sys/kernel/btf/vmlinux format c > "$work/include/vmlinux.h"
python3 "$source_dir/scripts/bpf_doc.py" --header --file "$source_dir/include/uapi/linux/bpf.h" > "$work/include/bpf/bpf_helper_defs.h"
cp "$source_dir"/tools/lib/bpf/bpf_{helpers,tracing,core_read,endian}.h "$work/include/bpf/"

rm -f "$work"/objects/*.o
cd "$source_dir/tools/testing/selftests/bpf/progs"
for file in $files.c; do
  clang-19 -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -w \
    -I"$work/include" -I"$work/include/bpf" -I. -I.. -I"$source_dir/include/uapi" -I/usr/include/"$(uname -m)"-linux-gnu \
    -c "$file" -o "$work/objects/${file%.c}.bpf.o" 2>"$work/objects/${file%.c}.log" || echo "not compiled: $file ($(grep -m1 -o 'error:.*' "$work/objects/${file%.c}.log"))"
done

cd "$repo"
dotnet run -c Release --project tests/UringBpf.Fuzz -- selftests "$work/objects"
