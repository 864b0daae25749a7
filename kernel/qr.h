/*
 * qr.h - text as a QR code. Pure; tests/unit/test_qr.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Up to version 25: more modules than that no camera tells apart on a screen.
 * QR_BYTES fit in it. */
enum { QR_VERSION = 25, QR_SIDE = 17 + 4 * QR_VERSION, QR_BYTES = 1273 };

struct qr {
    unsigned side; /* modules each way, without the quiet zone (4 of them) */
    uint8_t dark[QR_SIDE][QR_SIDE]; /* [y][x]: bit 0; others are qr.c's */
};

/* Byte mode, error correction level L, the smallest version that does. 0, or
 * -1: too long. */
int qr_encode(struct qr *q, const void *text, size_t n);
