/*
 * fwcfg.h - what QEMU's command line has to say to the kernel, however it
 * was booted: -fw_cfg name=opt/aerostat/args,string=...
 */
#pragma once

#include <stddef.h>

/* Copies the string, cut to size-1; "" on other machines. */
void fwcfg_arguments(char *to, size_t size);
