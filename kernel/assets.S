/*
 * assets.S - the embedded files' bytes (assets.def).
 */
        .section .rodata.assets, "a"
#define ASSET(id, name, file) \
        .balign 16; .globl asset_##id, asset_##id##_end; \
        asset_##id: .incbin file; asset_##id##_end: .byte 0;
#include "kernel/assets.def"
        .section .note.GNU-stack, "", @progbits
