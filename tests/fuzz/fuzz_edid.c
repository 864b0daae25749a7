/*
 * fuzz_edid.c - damaged monitors. What is taken must be a size that a mode
 * and a scale can be made of.
 */
#include "drivers/edid.h"
#include "drivers/modes.h"

#include "tests/fuzz/fuzz.h"

static bool run(uint8_t *data, size_t size)
{
    const struct mode_limits limits = { 8192, 8192, 16 << 20, 1 };
    struct mode list[MODES_MAX], own;
    struct edid e;
    bool taken = edid_parse(&e, data, size);
    uint32_t scale;

    own = (struct mode){ e.width, e.height };
    scale = modes_scale(&e, own);
    if (scale < 100 || scale > 300 || !memchr(e.name, 0, sizeof e.name) ||
        modes_offer(&limits, own, own, list) > MODES_MAX ||
        !modes_choose(&limits, own, own).width)
        abort();
    return taken;
}

static void mend(uint8_t *data, size_t size)
{
    for (; size >= EDID_BYTES; data += EDID_BYTES, size -= EDID_BYTES) {
        uint8_t sum = 0;

        for (unsigned i = 0; i < EDID_BYTES - 1; i++)
            sum = (uint8_t)(sum + data[i]);
        data[EDID_BYTES - 1] = (uint8_t)-sum;
    }
}

/* Two timings in a DisplayID, one in what CTA has. */
static void add_extensions(uint8_t *to, const uint8_t *timing)
{
    uint8_t *cta = to + EDID_BYTES, *id = to + 2 * EDID_BYTES;

    to[126] = 2;
    cta[0] = 0x02;
    cta[2] = 4;
    memcpy(cta + 4, timing, 18);
    id[0] = 0x70;
    id[2] = 43;
    id[5] = 0x03;
    id[7] = 40;
    memset(id + 8, 16, 40);
}

static size_t seed(unsigned i, uint8_t *to)
{
    static const uint8_t timing[18] = {
        0x1d, 0x56, 0x00, 0x98, 0xa1, 0x40, 0x20, 0x30, 0, 0, 0, 0,
        0x55, 0x50, 0x21, 0, 0, 0x1e,
    };
    static const uint8_t name[18] = { 0, 0, 0, 0xfc, 0, 'P', 'a', 'n', 'e',
                                      'l', '\n', ' ', ' ' };

    if (i > 2)
        return 0;
    memset(to + 1, 255, 6);
    to[21] = 60;
    to[22] = 34;
    if (i == 2)
        add_extensions(to, timing); /* nothing in the first block */
    else
        memcpy(to + 54 + (i ? 36 : 0), timing, sizeof timing);
    memcpy(to + 72, name, sizeof name);
    mend(to, EDID_BYTES * (i + 1));
    return EDID_BYTES * (i + 1);
}

static const struct fuzz_target target = { seed, mend, run, EDID_BYTES };
