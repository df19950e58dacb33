# symbols.awk: turns `nm -n` of the kernel into the assembly source of its symbol table; with no input, into an empty one
BEGIN {
    print "        global  symbol_table"
    print "        global  symbol_count"
    print "        section .symbols progbits alloc noexec nowrite align=4"
    print "symbol_table:"
}
$2 == "T" || $2 == "t" {
    if ($3 ~ /^vector_[0-9]+$/ || $3 ~ /\./ || $3 == "kernel_text_begin" || $3 == "kernel_text_end")
        next
    printf "        dd      0x%s, name%d\n", $1, count
    names = names sprintf("name%-4d db      '%s', 0\n", count, $3)
    count++
}
END {
    printf "symbol_count dd %d\n", count
    printf "%s", names
}
