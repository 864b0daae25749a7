# symbols.awk - `nm -n kernel.elf` to the assembly of kernel/symbols.h's table.
BEGIN {
    print "        .section .symbols, \"a\""
    print "        .globl symbol_table, symbol_count, symbol_names"
    print "        .balign 4"
    print "symbol_table:"
}
$3 == "__text_end" { exit }
($2 == "t" || $2 == "T") && started && $3 !~ /^\.L/ {
    printf "        .long 0x%s - 0x%s, %d\n", $1, start, used
    names[count++] = $3
    used += length($3) + 1
}
$3 == "__text_start" { started = 1; start = $1 }
END {
    printf "symbol_count: .long %d\n", count
    print "symbol_names:"
    for (i = 0; i < count; i++)
        printf "        .asciz \"%s\"\n", names[i]
    print "        .section .note.GNU-stack, \"\", @progbits"
}
