#!/usr/bin/env bash
# Measures the verifier against the running kernel's, on the kernel's own verifier tests.
#
#   tests/kernel-selftests.sh [--files 'verifier_[a-m]*'] [--work DIR]
#   tests/kernel-selftests.sh --object FILE.bpf.o         only asks the running kernel about each program of an object
#
# Needs root (bpf(2)) and Debian's packages linux-source-6.12 (fetched into DIR), clang-19, llvm-19, gcc, libbpf-dev,
# bpftool and python3. Nothing of the kernel's source is kept in this repository. Every program whose type, helpers and map types this
# engine has is put before both verifiers; the summary counts agreements and lists every disagreement with both reasons.
set -euo pipefail

files='verifier_[a-m]*'
work=${TMPDIR:-/tmp}/uringbpf-selftests
while [ $# -gt 0 ]; do
  case $1 in
    --files) files=$2; shift 2 ;;
    --work) work=$2; shift 2 ;;
    --object) object=$2; shift 2 ;;
    *) echo "usage: $0 [--files PATTERN] [--work DIR]" >&2; exit 2 ;;
  esac
done
repo=$(cd "$(dirname "$0")/.." && pwd)
if [ -n "${object:-}" ]; then
  mkdir -p "$work"
  gcc -O2 -Wall -Werror -o "$work/kernel-verdicts" "$repo/tests/kernel-verdicts.c" -lbpf
  exec "$work/kernel-verdicts" "$object"
fi

for tool in clang-19 llvm-objcopy-19 gcc bpftool python3 dpkg-deb; do
  command -v $tool >/dev/null || { echo "$tool is not installed (Debian packages clang-19, llvm-19, gcc, bpftool, python3, dpkg)" >&2; exit 2; }
done
[ -e /usr/include/bpf/libbpf.h ] || { echo "libbpf's headers are not installed (Debian package libbpf-dev)" >&2; exit 2; }
mkdir -p "$work/include/bpf" "$work/objects"
source_dir=$work/linux-source-6.12

if [ ! -d "$source_dir" ]; then
  (cd "$work" && apt-get download -q linux-source-6.12 && dpkg-deb --fsys-tarfile linux-source-6.12_*.deb | tar -x ./usr/src/linux-source-6.12.tar.xz)
  tar -xf "$work/usr/src/linux-source-6.12.tar.xz" -C "$work" --wildcards \
    'linux-source-6.12/tools/testing/selftests/bpf/*' 'linux-source-6.12/tools/lib/bpf/*' \
    'linux-source-6.12/scripts/bpf_doc.py' 'linux-source-6.12/include/uapi/linux/bpf.h' 'linux-source-6.12/tools/include/*'
  rm -rf "$work/usr" "$work"/linux-source-6.12_*.deb
fi

bpftool btf dump file /sys/kernel/btf/vmlinux format c > "$work/include/vmlinux.h"
python3 "$source_dir/scripts/bpf_doc.py" --header --file "$source_dir/include/uapi/linux/bpf.h" > "$work/include/bpf/bpf_helper_defs.h"
cp "$source_dir"/tools/lib/bpf/bpf_{helpers,tracing,core_read,endian}.h "$work/include/bpf/"

rm -rf "$work/objects" "$work/ours"
mkdir -p "$work/objects" "$work/ours"
compile() { # SOURCE OBJECT
  clang-19 -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -w \
    -I"$work/include" -I"$work/include/bpf" -I. -I.. -I"$source_dir/tools/include/uapi" -I/usr/include/"$(uname -m)"-linux-gnu \
    -c "$1" -o "$2"
}
# For this engine's copy, map types and kernel functions it lacks are replaced by something it refuses where it is used
# (a program array, a weak extern), so that the other programs of the same file can be compared.
lacking='USER_RINGBUF|XSKMAP|SOCKMAP|SOCKHASH|DEVMAP|DEVMAP_HASH|CPUMAP|STACK_TRACE|PERF_EVENT_ARRAY|ARENA|(PERCPU_)?CGROUP_STORAGE|REUSEPORT_SOCKARRAY|(SK|INODE|TASK|CGRP)_STORAGE'
cd "$source_dir/tools/testing/selftests/bpf/progs"
for file in $files.c; do
  object=${file%.c}.bpf.o
  if ! compile "$file" "$work/objects/$object" 2>"$work/log"; then
    echo "not compiled: $file ($(grep -m1 -o 'error:.*' "$work/log"))"
    continue
  fi
  sed -E "s/BPF_MAP_TYPE_($lacking)\\b/BPF_MAP_TYPE_PROG_ARRAY/" "$file" > "ours-$file"
  compile "ours-$file" "$work/ours/$object"
  rm "ours-$file"
  weaken=$(llvm-nm-19 -u "$work/ours/$object" | awk '{ print "--weaken-symbol=" $2 }')
  [ -z "$weaken" ] || llvm-objcopy-19 $weaken "$work/ours/$object"
done

cd "$repo"
gcc -O2 -Wall -Werror -o "$work/kernel-verdicts" tests/kernel-verdicts.c -lbpf
# Once as root, once without CAP_PERFMON: what only that allows (uninitialised stack, addresses in results) we never do.
"$work/kernel-verdicts" "$work"/objects/*.o > "$work/root.tsv" 2>/dev/null
"$work/kernel-verdicts" --no-perfmon "$work"/objects/*.o > "$work/no-perfmon.tsv" 2>/dev/null
dotnet run -c Release --project tests/UringBpf.Fuzz -- selftests "$work/root.tsv" "$work/no-perfmon.tsv" "$work"/ours/*.o
