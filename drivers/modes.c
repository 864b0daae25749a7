/*
 * modes.c - sizes of screens.
 */
#include "drivers/modes.h"

#include <stddef.h>

#include "drivers/edid.h"

enum {
    SIDE_MIN = 200, SIDE_MAX = 16384,
    DENSITY_100 = 110, /* pixels an inch that are drawn at 100 % */
    MM_PER_10_INCHES = 254,
};

static const struct mode usual[] = {
    { 640, 480 }, { 800, 600 }, { 1024, 768 }, { 1280, 720 }, { 1280, 800 },
    { 1366, 768 }, { 1280, 1024 }, { 1440, 900 }, { 1600, 900 },
    { 1680, 1050 }, { 1920, 1080 }, { 1920, 1200 }, { 2560, 1440 },
    { 2560, 1600 }, { 3440, 1440 }, { 3840, 2160 }, { 5120, 2880 },
};
enum { USUAL = sizeof usual / sizeof *usual };
_Static_assert(USUAL + 2 <= MODES_MAX, "room for two more");

static const struct mode starts[] = {
    { 1280, 800 }, { 1024, 768 }, { 800, 600 }, { 640, 480 },
};

static bool read_number(const char **text, uint32_t *n)
{
    const char *p = *text;

    for (*n = 0; *p >= '0' && *p <= '9' && *n <= SIDE_MAX; p++)
        *n = *n * 10 + (uint32_t)(*p - '0');
    if (p == *text)
        return false;
    *text = p;
    return true;
}

/* What GRUB writes behind it, as in 1280x800x32, is not our affair. */
bool mode_parse(const char *text, struct mode *m)
{
    if (!read_number(&text, &m->width) || *text++ != 'x' ||
        !read_number(&text, &m->height) || (*text && *text != 'x'))
        return false;
    return m->width >= SIDE_MIN && m->width <= SIDE_MAX &&
           m->height >= SIDE_MIN && m->height <= SIDE_MAX;
}

bool mode_same(struct mode a, struct mode b)
{
    return a.width == b.width && a.height == b.height;
}

bool mode_fits(const struct mode_limits *l, struct mode m)
{
    return m.width >= SIDE_MIN && m.height >= SIDE_MIN &&
           m.width <= l->width && m.height <= l->height &&
           (uint64_t)m.width * m.height <= l->pixels &&
           (l->step < 2 || m.width % l->step == 0);
}

struct mode modes_choose(const struct mode_limits *l, struct mode named,
                         struct mode own)
{
    if (mode_fits(l, named))
        return named;
    if (mode_fits(l, own))
        return own;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (mode_fits(l, starts[i]))
            return starts[i];
    return (struct mode){ 0, 0 };
}

static bool is_smaller(struct mode a, struct mode b)
{
    uint64_t pixels = (uint64_t)a.width * a.height;
    uint64_t others = (uint64_t)b.width * b.height;

    return pixels != others ? pixels < others : a.width < b.width;
}

/* Into its place; once. */
static unsigned insert(struct mode *list, unsigned n, struct mode m)
{
    unsigned at = 0;

    while (at < n && is_smaller(list[at], m))
        at++;
    if (at < n && mode_same(list[at], m))
        return n;
    for (unsigned i = n; i > at; i--)
        list[i] = list[i - 1];
    list[at] = m;
    return n + 1;
}

unsigned modes_offer(const struct mode_limits *l, struct mode own,
                     struct mode now, struct mode list[MODES_MAX])
{
    unsigned n = 0;

    for (unsigned i = 0; i < USUAL; i++)
        if (mode_fits(l, usual[i]))
            n = insert(list, n, usual[i]);
    if (mode_fits(l, own))
        n = insert(list, n, own);
    if (mode_fits(l, now))
        n = insert(list, n, now);
    return n;
}

static uint32_t stepped(uint64_t percent)
{
    percent = (percent + 12) / 25 * 25;
    return percent < 100 ? 100 : percent > 300 ? 300 : (uint32_t)percent;
}

/* Of an unknown monitor, or one that shows another picture than its own,
 * only the pixels are known: many of them are taken for small. */
uint32_t modes_scale(const struct edid *e, struct mode now)
{
    if (e && e->width_mm && e->width == now.width && e->height == now.height)
        return stepped((uint64_t)e->width * MM_PER_10_INCHES * 10 /
                       (e->width_mm * (uint64_t)DENSITY_100));
    return now.height >= 2800 ? 300 : now.height >= 2000 ? 200
           : now.height >= 1400 ? 150 : 100;
}
