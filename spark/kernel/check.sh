#!/bin/sh
# check.sh KERNEL SYMBOLS.ASM: is the linked kernel what the loader expects? Toolchains differ, and a kernel that was
# linked elsewhere would only show as a machine that resets.
set -eu
kernel=$1
symbols=$2

fail()
{
    echo "check.sh: $kernel: $*" >&2
    exit 1
}

header=$(readelf -hW "$kernel")
echo "$header" | grep -q 'Class: *ELF32' || fail "not a 32-bit ELF file"
echo "$header" | grep -q 'Type: *EXEC' || fail "not an executable; -fno-pie missing?"
echo "$header" | grep -q 'Machine: *Intel 80386' || fail "not for the 80386"
echo "$header" | grep -q 'Entry point address: *0x30400$' || fail "its entry is not 30400h"
echo "$header" | grep -q 'Size of program headers: *32 ' || fail "program headers are not 32 bytes"

segments=$(readelf -lW "$kernel" | awk '$1 == "LOAD"')
[ "$(echo "$segments" | wc -l)" = 2 ] || fail "not two segments to load: $segments"
echo "$segments" | head -1 | awk '{ exit !($2 == "0x000000" && $3 == "0x00030000") }' ||
    fail "the ELF header does not lie at 30000h"
readelf -SW "$kernel" | grep -q ' \.text *PROGBITS *00030400 ' || fail ".text is not at 30400h"
readelf -SW "$kernel" | grep -Eq '\.(got|plt|dynamic|interp)' && fail "position independent code; -fno-pic missing?"

end=$(nm "$kernel" | awk '$3 == "kernel_end" { print $1 }')
[ "$((0x$end))" -le "$((0x60000))" ] || fail "ends at ${end}h, past 60000h, where the loader reads KERNEL.BIN to"

nm -n "$kernel" | awk -f "$(dirname "$0")/symbols.awk" | cmp -s - "$symbols" ||
    fail "the symbol table does not agree with the kernel: its text moved at the second link"
