#!/bin/sh
# Rebuilds every committed BPF object of the repository. Run it after changing a *.bpf.c; commit what it writes.
#
# The loader's own sources, tests/UringBpf.Bytecode.Tests/bpf, are built by clang 14, 16 and 19 into bpf/out/clang-N/NAME.bpf.o;
# some of them also without -g (NAME.nodebug.bpf.o) and for every instruction set version (NAME.v1.bpf.o to v4, where
# the compiler knows it), and with each function in a section of its own (NAME.sections.bpf.o). Each source in bpf/refused shows one refusal and is named after its code; where it defines
# AT_LIMIT, the same without what is one too many goes to bpf/out/accepted. Every other *.bpf.c is built by clang 19 beside its source.
#
# A *.bpf.rs becomes NAME.rs.bpf.o beside it: rustc makes bitcode of it, and clang of rustc's version of LLVM the object. These are Debian's packages
# rustc-web, libstd-rust-web-dev-bpf (Rust's core library for BPF) and clang-22; where they are missing, Rust's objects stay as they are.
#
# The same compiler gives the same bytes on every machine: no path of it is recorded.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
default=19
loader=tests/UringBpf.Bytecode.Tests/bpf

# compile CLANG SOURCE OBJECT FLAG...
compile() {
  version=$1 source=$2 object=$3
  shift 3
  mkdir -p "$(dirname "$object")"
  # Run in the source's folder and name it without one, so that the recorded file name is the same everywhere.
  (cd "$(dirname "$source")" && "clang-$version" -O2 -target bpf -Wall -Werror \
    "-ffile-prefix-map=$root=." "-fdebug-prefix-map=$root=." -fdebug-compilation-dir=. \
    "-I$root/ring/UringBpf.Ring/include" "$@" -c "$(basename "$source")" -o "$root/$object")
}

git ls-files --cached --others --exclude-standard -- '*.bpf.c' | sort | while read -r source; do
  name=$(basename "$source" .bpf.c)
  case $source in
    cli/UringBpf.Templates/*) ;; # compiled by the projects made from it
    "$loader"/refused/*)
      compile $default "$source" "$loader/out/refused/$name.bpf.o" -g -mcpu=v3
      if grep -q AT_LIMIT "$source"; then
        compile $default "$source" "$loader/out/accepted/$name.bpf.o" -g -mcpu=v3 -DAT_LIMIT
      fi
      ;;
    "$loader"/*)
      for version in 14 16 19; do
        out=$loader/out/clang-$version
        compile $version "$source" "$out/$name.bpf.o" -g -mcpu=v3
        # clang 19 is the first to know v4. Without BTF there are no map definitions, no externs' types, no CO-RE.
        case $name in
          linking|globals|legacy|alone)
            compile $version "$source" "$out/$name.nodebug.bpf.o" -mcpu=v3
            compile $version "$source" "$out/$name.sections.bpf.o" -g -mcpu=v3 -ffunction-sections
            cpus="v1 v2"
            [ $version -ge 19 ] && cpus="v1 v2 v4"
            for cpu in $cpus; do compile $version "$source" "$out/$name.$cpu.bpf.o" -g -mcpu=$cpu; done
            ;;
        esac
      done
      ;;
    *) compile $default "$source" "${source%.c}.o" -g -mcpu=v3 ;;
  esac
done

rustc=/usr/bin/rustc
if [ -d /usr/lib/rustlib/bpfel-unknown-none ] && command -v clang-22 > /dev/null; then
  bitcode=$(mktemp)
  trap 'rm -f "$bitcode"' EXIT
  git ls-files --cached --others --exclude-standard -- '*.bpf.rs' | sort | while read -r source; do
    $rustc --edition 2021 --crate-name hook --crate-type lib --target bpfel-unknown-none -C opt-level=2 -C debuginfo=2 -C panic=abort \
      -C codegen-units=1 -C target-cpu=v3 -D warnings --remap-path-prefix "$root=." --emit llvm-bc -o "$bitcode" "$source"
    clang-22 -O2 -target bpfel -mcpu=v3 -x ir -c "$bitcode" -o "${source%.bpf.rs}.rs.bpf.o"
  done
fi

# What bpftool's linker makes of several objects.
if command -v bpftool > /dev/null; then
  mkdir -p "$loader/out/linked"
  bpftool gen object "$loader/out/linked/linked.bpf.o" "$loader"/out/clang-19/maps.bpf.o "$loader"/out/clang-19/linking.bpf.o "$loader"/out/clang-19/externs.bpf.o
fi
