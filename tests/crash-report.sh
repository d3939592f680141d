#!/bin/sh
# Prints the top of the stack of the thread that a .NET process died of, out of the crash report (JSON) given.
set -eu
awk '
  function text(line) { sub(/^[^:]*: *"/, "", line); sub(/",?$/, "", line); return line }
  /"process_name"/ { print text($0) " died:" }
  /"crashed" *: *"true"/ { crashed = 1 }
  # The next thread begins.
  /"native_thread_id"/ { if (seen) exit; if (crashed) seen = 1 }
  seen && /"native_image_offset"/ { offset = text($0) }
  seen && /"method_name"|"unmanaged_name"/ { name = text($0) }
  seen && /"native_module"|"filename"/ { module = text($0) }
  seen && /"native_address"/ { address = text($0) }
  seen && /^ *},?$/ {
    if (address != "" && ++frames <= 30) print "  " (name != "" ? name : address) (module != "" ? " in " module : "") (name == "" && offset != "" ? "+" offset : "")
    name = module = offset = address = ""
  }' "$1"
