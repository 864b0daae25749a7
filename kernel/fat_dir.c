/*
 * fat_dir.c - FAT32 directories: short entries, long names, look-up by path.
 *
 * A long name is a run of entries before its short entry, last part first,
 * bound to it by a checksum of the short name (specification, section 7).
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "kernel/bytes.h"
#include "kernel/clock.h"
#include "kernel/fat_private.h"

enum {
    DELETED = 0xe5, LAST_LONG = 0x40, LONG_CHARS = 13, LONG_MAX_PARTS = 20,
    DIR_MAX = 65536,
    OFF_ATTR = 11, OFF_CASE = 12, OFF_CTIME = 14, OFF_HIGH = 20,
    OFF_WTIME = 22, OFF_LOW = 26, OFF_SIZE = 28,
    LOWER_BASE = 0x08, LOWER_EXT = 0x10,
};

/* --- walking the raw entries --- */

struct walk {
    struct fat_volume *v;
    uint32_t cluster, offset;
    unsigned index; /* of the entry to come */
};

static void walk_start(struct walk *w, struct fat_volume *v, uint32_t dir)
{
    *w = (struct walk){ v, dir, 0, 0 };
}

/* Next raw entry: 1, 0 at the end of the chain, or an error. */
static int walk_next(struct walk *w, uint8_t *raw, struct fat_place *place)
{
    int error;

    if (w->index >= DIR_MAX)
        return 0;
    if (w->offset == w->v->cluster_bytes) {
        uint32_t next;

        error = fat_next(w->v, w->cluster, &next);
        if (error || next == 0)
            return error;
        w->cluster = next;
        w->offset = 0;
    }
    error = fat_read(w->v, w->cluster, w->offset, raw, DIR_ENTRY);
    if (error)
        return error;
    *place = (struct fat_place){ w->cluster, w->offset };
    w->offset += DIR_ENTRY;
    w->index++;
    return 1;
}

/* --- numbers, times --- */

/* Days since 1970-01-01 of a civil date (proleptic Gregorian). */
static int64_t days_from_civil(int year, int month, int day)
{
    int y = year - (month <= 2), era = y / 400, yoe = y - era * 400;
    int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return (int64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy -
           719468;
}

static int64_t time_of(const uint8_t *p) /* time word, then date word */
{
    uint32_t t = get16(p), d = get16(p + 2);
    int month = d >> 5 & 15, day = d & 31;

    if (month < 1 || month > 12 || day < 1)
        return 0;
    return days_from_civil(1980 + (d >> 9), month, day) * 86400 +
           (t >> 11) * 3600 + (t >> 5 & 63) * 60 + (t & 31) * 2;
}

static void put_now(uint8_t *p)
{
    int64_t now = clock_utc_usecs() / 1000000, days = now / 86400;
    uint32_t s = now % 86400;
    int year = 1980, month = 1;

    while (year < 2107 && days_from_civil(year + 1, 1, 1) <= days)
        year++;
    while (month < 12 && days_from_civil(year, month + 1, 1) <= days)
        month++;
    put16(p, s / 3600 << 11 | s / 60 % 60 << 5 | s % 60 / 2);
    put16(p + 2, (year - 1980) << 9 | month << 5 |
                     (days - days_from_civil(year, month, 1) + 1));
}

/* --- names --- */

static uint8_t short_checksum(const uint8_t *name)
{
    uint8_t sum = 0;

    for (int i = 0; i < 11; i++)
        sum = (uint8_t)((sum & 1) << 7 | sum >> 1) + name[i];
    return sum;
}

static const uint8_t long_offsets[LONG_CHARS] = { 1,  3,  5,  7,  9,  14, 16,
                                                  18, 20, 22, 24, 28, 30 };

/* UTF-16 to UTF-8; false if it does not fit. Lone surrogates become U+FFFD. */
static bool to_utf8(const uint16_t *from, char *to, size_t size)
{
    size_t n = 0;

    for (unsigned i = 0; from[i]; i++) {
        uint32_t c = from[i];

        if (c >= 0xd800 && c < 0xdc00 && from[i + 1] >= 0xdc00 &&
            from[i + 1] < 0xe000)
            c = 0x10000 + ((c & 0x3ff) << 10) + (from[++i] & 0x3ff);
        else if (c >= 0xd800 && c < 0xe000)
            c = 0xfffd;
        if (n + 5 > size)
            return false;
        if (c < 0x80) {
            to[n++] = c;
        } else if (c < 0x800) {
            to[n++] = 0xc0 | c >> 6;
            to[n++] = 0x80 | (c & 63);
        } else if (c < 0x10000) {
            to[n++] = 0xe0 | c >> 12;
            to[n++] = 0x80 | (c >> 6 & 63);
            to[n++] = 0x80 | (c & 63);
        } else {
            to[n++] = 0xf0 | c >> 18;
            to[n++] = 0x80 | (c >> 12 & 63);
            to[n++] = 0x80 | (c >> 6 & 63);
            to[n++] = 0x80 | (c & 63);
        }
    }
    to[n] = 0;
    return n > 0;
}

/* One code point of UTF-8; -1: malformed. */
static int32_t utf8_next(const uint8_t **p)
{
    uint32_t c = *(*p)++;
    int more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;

    if (more == 0)
        return c;
    if (c < 0xc2 || c > 0xf4)
        return -1;
    c &= 0x3f >> more;
    while (more--) {
        if ((**p & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (*(*p)++ & 63);
    }
    return c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : (int32_t)c;
}

static bool name_char_legal(int32_t c)
{
    return c >= 0x20 && c != 0x7f &&
           !(c < 0x80 && strchr("\"*/:<>?\\|", c));
}

/* UTF-8 to UTF-16 for a name; answers units, or -EINVAL. */
static int to_utf16(const char *name, uint16_t *to, unsigned max)
{
    const uint8_t *p = (const uint8_t *)name;
    unsigned n = 0;

    while (*p) {
        int32_t c = utf8_next(&p);

        if (!name_char_legal(c) || n + 2 > max)
            return -EINVAL;
        if (c < 0x10000) {
            to[n++] = c;
        } else {
            to[n++] = 0xd800 | (c - 0x10000) >> 10;
            to[n++] = 0xdc00 | ((c - 0x10000) & 0x3ff);
        }
    }
    to[n] = 0;
    if (n == 0 || to[n - 1] == '.' || to[n - 1] == ' ')
        return -EINVAL;
    return n;
}

static char fold(char c)
{
    return c >= 'a' && c <= 'z' ? c - 32 : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b))
        a++, b++;
    return *a == *b;
}

static void short_to_name(const uint8_t *raw, char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 11; i++) {
        uint8_t c = i == 0 && raw[0] == 0x05 ? DELETED : raw[i];
        bool lower = raw[OFF_CASE] & (i < 8 ? LOWER_BASE : LOWER_EXT);

        if (c == ' ')
            continue;
        if (i >= 8 && (n == 0 || !memchr(name, '.', n)))
            name[n++] = '.';
        name[n++] = c >= 0x80 ? '_' : lower && c >= 'A' && c <= 'Z' ? c + 32
                                                                    : c;
    }
    name[n] = 0;
}

/* --- reading entries --- */

/* The long name that is being gathered, part by part. */
struct long_name {
    uint16_t chars[LONG_MAX_PARTS * LONG_CHARS + 1];
    unsigned parts, expected; /* in all; the number that must come next */
    uint8_t checksum;
};

static void gather(struct long_name *l, const uint8_t *raw)
{
    unsigned number = raw[0] & 0x1f;

    if (raw[0] & LAST_LONG) {
        memset(l, 0, sizeof *l);
        if (number < 1 || number > LONG_MAX_PARTS)
            return;
        l->parts = l->expected = number;
        l->checksum = raw[13];
    }
    if (l->parts == 0 || number != l->expected || number == 0 ||
        raw[13] != l->checksum) {
        l->parts = 0;
        return;
    }
    for (unsigned i = 0; i < LONG_CHARS; i++) {
        uint16_t c = get16(raw + long_offsets[i]);

        l->chars[(number - 1) * LONG_CHARS + i] = c == 0xffff ? 0 : c;
    }
    l->expected--;
}

static void fill_entry(struct fat_entry *e, const uint8_t *raw,
                       const struct long_name *l)
{
    bool is_long = l->parts && l->expected == 0 &&
                   l->checksum == short_checksum(raw) &&
                   to_utf8(l->chars, e->info.name, sizeof e->info.name);

    if (!is_long)
        short_to_name(raw, e->info.name);
    e->long_entries = l->parts && l->expected == 0 ? l->parts : 0;
    e->attributes = raw[OFF_ATTR];
    e->info.is_directory = raw[OFF_ATTR] & ATTR_DIRECTORY;
    e->info.read_only = raw[OFF_ATTR] & ATTR_READ_ONLY;
    e->info.size = get32(raw + OFF_SIZE);
    e->info.created = time_of(raw + OFF_CTIME);
    e->info.modified = time_of(raw + OFF_WTIME);
    e->first = get16(raw + OFF_LOW) | get16(raw + OFF_HIGH) << 16;
}

/* Next entry that a user sees: 1, 0 or an error. */
static int next_entry(struct walk *w, uint32_t dir, struct fat_entry *e)
{
    struct long_name l = { .parts = 0 };
    uint8_t raw[DIR_ENTRY];
    int found;

    while ((found = walk_next(w, raw, &e->place)) > 0) {
        if (raw[0] == 0)
            return 0;
        if (raw[0] == DELETED || raw[0] == '.' ||
            ((raw[OFF_ATTR] & ATTR_VOLUME) &&
             (raw[OFF_ATTR] & 63) != ATTR_LONG_NAME)) {
            l.parts = 0;
        } else if ((raw[OFF_ATTR] & 63) == ATTR_LONG_NAME) {
            gather(&l, raw);
        } else {
            fill_entry(e, raw, &l);
            e->dir = dir;
            e->index = w->index - 1;
            return 1;
        }
    }
    return found;
}

int fat_dir_entry(struct fat_volume *v, uint32_t dir, unsigned n,
                  struct fat_entry *e)
{
    struct walk w;
    int found;

    walk_start(&w, v, dir);
    do
        found = next_entry(&w, dir, e);
    while (found > 0 && n--);
    return found;
}

static int find(struct fat_volume *v, uint32_t dir, const char *name,
                struct fat_entry *e)
{
    struct walk w;
    int found;

    walk_start(&w, v, dir);
    while ((found = next_entry(&w, dir, e)) > 0)
        if (same_name(e->info.name, name))
            return 0;
    return found < 0 ? found : -ENOENT;
}

bool fat_dir_empty(struct fat_volume *v, uint32_t dir, int *error)
{
    struct fat_entry e;

    *error = fat_dir_entry(v, dir, 0, &e);
    if (*error > 0)
        *error = 0;
    else if (*error == 0)
        return true;
    return false;
}

/* --- paths --- */

static void root_entry(const struct fat_volume *v, struct fat_entry *e)
{
    memset(e, 0, sizeof *e);
    strcpy(e->info.name, "/");
    e->info.is_directory = true;
    e->first = v->root;
}

int fat_lookup(struct fat_volume *v, const char *path, struct fat_entry *e)
{
    char name[256];

    root_entry(v, e);
    while (*path == '/')
        path++;
    while (*path) {
        size_t n = strcspn(path, "/");
        int error;

        if (!e->info.is_directory)
            return -ENOTDIR;
        if (n >= sizeof name)
            return -ENOENT;
        memcpy(name, path, n);
        name[n] = 0;
        error = find(v, e->first ? e->first : v->root, name, e);
        if (error)
            return error;
        path += n;
        while (*path == '/')
            path++;
    }
    return 0;
}

int fat_parent(struct fat_volume *v, const char *path, uint32_t *dir,
               const char **name)
{
    const char *slash = strrchr(path, '/');
    struct fat_entry e;
    char parent[1024];
    size_t n = slash ? (size_t)(slash - path) : 0;
    int error;

    if (n >= sizeof parent)
        return -ENOENT;
    memcpy(parent, path, n);
    parent[n] = 0;
    *name = slash ? slash + 1 : path;
    error = **name ? fat_lookup(v, parent, &e) : -EEXIST;
    if (!error && !e.info.is_directory)
        error = -ENOTDIR;
    if (!error)
        *dir = e.first;
    return error;
}

/* --- making and removing entries --- */

static bool short_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'()-@^_`{}~", c));
}

/* Whether `name` needs no long entry: fits 8.3 and is upper case. */
static bool is_short(const char *name, uint8_t *to)
{
    const char *dot = strchr(name, '.');
    size_t base = dot ? (size_t)(dot - name) : strlen(name);
    size_t ext = dot ? strlen(dot + 1) : 0;

    memset(to, ' ', 11);
    if (base < 1 || base > 8 || ext > 3 || (dot && ext == 0))
        return false;
    memcpy(to, name, base);
    if (ext)
        memcpy(to + 8, dot + 1, ext);
    for (size_t i = 0; i < base; i++)
        if (!short_char(name[i]))
            return false;
    for (size_t i = 0; i < ext; i++)
        if (!short_char(dot[1 + i]))
            return false;
    return true;
}

/* The alias BASE~N.EXT of a long name. */
static void make_alias(const char *name, unsigned number, uint8_t *to)
{
    const char *dot = strrchr(name, '.');
    char tail[12];
    unsigned n = 0, keep;

    memset(to, ' ', 11);
    snprintf(tail, sizeof tail, "~%u", number);
    keep = 8 - strlen(tail);
    for (const char *p = name; *p && p != dot && n < keep; p++)
        if (short_char(fold(*p)))
            to[n++] = fold(*p);
    if (n == 0)
        to[n++] = '_';
    memcpy(to + n, tail, strlen(tail));
    n = 8;
    for (const char *p = dot ? dot + 1 : ""; *p && n < 11; p++)
        if (short_char(fold(*p)))
            to[n++] = fold(*p);
}

static int alias_taken(struct fat_volume *v, uint32_t dir, const uint8_t *name)
{
    struct fat_place place;
    struct walk w;
    uint8_t raw[DIR_ENTRY];
    int found;

    walk_start(&w, v, dir);
    while ((found = walk_next(&w, raw, &place)) > 0 && raw[0])
        if (raw[0] != DELETED && memcmp(raw, name, 11) == 0 &&
            (raw[OFF_ATTR] & 63) != ATTR_LONG_NAME)
            return 1;
    return found < 0 ? found : 0;
}

static int choose_alias(struct fat_volume *v, uint32_t dir, const char *name,
                        uint8_t *to)
{
    for (unsigned number = 1; number < 100000; number++) {
        int taken;

        make_alias(name, number, to);
        taken = alias_taken(v, dir, to);
        if (taken <= 0)
            return taken;
    }
    return -ENOSPC;
}

/* Another cluster of free entries behind the last one. Where that fails it is
 * not freed: a copy of the table may have the link. */
static int grow_directory(struct fat_volume *v, uint32_t last)
{
    uint32_t cluster;
    int error = fat_allocate(v, 0, &cluster);

    if (!error)
        error = fat_zero_cluster(v, cluster);
    return error ? error : fat_link(v, last, cluster);
}

/* Finds `n` free entries in a row, growing the directory if need be. */
static int find_run(struct fat_volume *v, uint32_t dir, unsigned n,
                    struct fat_place *places)
{
    struct walk w;
    uint8_t raw[DIR_ENTRY];
    unsigned run = 0;
    bool past_end = false;
    int found, error;

    walk_start(&w, v, dir);
    while (run < n) {
        found = walk_next(&w, raw, &places[run]);
        if (found < 0)
            return found;
        if (found == 0) {
            error = w.index < DIR_MAX ? grow_directory(v, w.cluster)
                                      : -ENOSPC;
            if (error)
                return error;
            continue;
        }
        past_end |= raw[0] == 0;
        run = past_end || raw[0] == DELETED ? run + 1 : 0;
    }
    return 0;
}

static void fill_long(uint8_t *raw, const uint16_t *chars, unsigned length,
                      unsigned number, bool last, uint8_t checksum)
{
    memset(raw, 0, DIR_ENTRY);
    raw[0] = number | (last ? LAST_LONG : 0);
    raw[OFF_ATTR] = ATTR_LONG_NAME;
    raw[13] = checksum;
    for (unsigned i = 0; i < LONG_CHARS; i++) {
        unsigned at = (number - 1) * LONG_CHARS + i;

        put16(raw + long_offsets[i], at < length    ? chars[at]
                                     : at == length ? 0
                                                    : 0xffff);
    }
}

static void fill_short(uint8_t *raw, const uint8_t *name, uint8_t attributes,
                       uint32_t first, uint32_t size)
{
    memset(raw, 0, DIR_ENTRY);
    memcpy(raw, name, 11);
    raw[OFF_ATTR] = attributes;
    put_now(raw + OFF_CTIME);
    memcpy(raw + 18, raw + OFF_CTIME + 2, 2);
    memcpy(raw + OFF_WTIME, raw + OFF_CTIME, 4);
    put16(raw + OFF_HIGH, first >> 16);
    put16(raw + OFF_LOW, first);
    put32(raw + OFF_SIZE, size);
}

static int write_raw(struct fat_volume *v, struct fat_place place,
                     const uint8_t *raw)
{
    return fat_write(v, place.cluster, place.offset, raw, DIR_ENTRY);
}

/* ORDER: the short entry goes last; long ones without it are ignored. */
int fat_dir_add(struct fat_volume *v, uint32_t dir, const char *name,
                uint8_t attributes, uint32_t first, uint32_t size,
                struct fat_entry *e)
{
    struct fat_place places[LONG_MAX_PARTS + 1];
    uint16_t chars[LONG_MAX_PARTS * LONG_CHARS + 2];
    uint8_t raw[DIR_ENTRY], alias[11];
    int length = to_utf16(name, chars, 255), error = 0;
    unsigned parts;

    if (length < 0)
        return length;
    parts = (length + LONG_CHARS - 1) / LONG_CHARS;
    if (is_short(name, alias))
        parts = 0;
    else
        error = choose_alias(v, dir, name, alias);
    if (!error)
        error = find_run(v, dir, parts + 1, places);
    for (unsigned i = 0; i < parts && !error; i++) {
        fill_long(raw, chars, length, parts - i, i == 0,
                  short_checksum(alias));
        error = write_raw(v, places[i], raw);
    }
    if (error)
        return error;
    fill_short(raw, alias, attributes, first, size);
    error = write_raw(v, places[parts], raw);
    return error ? error : find(v, dir, name, e);
}

int fat_dir_remove(struct fat_volume *v, const struct fat_entry *e)
{
    struct fat_place place;
    struct walk w;
    uint8_t raw[DIR_ENTRY];
    int found = 1, error = 0;

    walk_start(&w, v, e->dir);
    while (!error && w.index <= e->index) {
        found = walk_next(&w, raw, &place);
        if (found <= 0)
            return found < 0 ? found : -EIO;
        if (w.index - 1 + e->long_entries >= e->index) {
            raw[0] = DELETED;
            error = write_raw(v, place, raw);
        }
    }
    return error;
}

int fat_dir_update(struct fat_volume *v, struct fat_place place,
                   uint32_t first, uint32_t size)
{
    uint8_t raw[DIR_ENTRY];
    int error = fat_read(v, place.cluster, place.offset, raw, DIR_ENTRY);

    if (error)
        return error;
    put_now(raw + OFF_WTIME);
    raw[OFF_ATTR] |= ATTR_ARCHIVE;
    put16(raw + OFF_HIGH, first >> 16);
    put16(raw + OFF_LOW, first);
    put32(raw + OFF_SIZE, size);
    return write_raw(v, place, raw);
}

int fat_dir_init(struct fat_volume *v, uint32_t dir, uint32_t parent)
{
    uint8_t raw[DIR_ENTRY];
    int error = fat_zero_cluster(v, dir);

    /* The root is written as cluster 0 in a parent entry. */
    if (parent == v->root)
        parent = 0;
    if (!error) {
        fill_short(raw, (const uint8_t *)".          ", ATTR_DIRECTORY, dir,
                   0);
        error = fat_write(v, dir, 0, raw, DIR_ENTRY);
    }
    if (!error) {
        fill_short(raw, (const uint8_t *)"..         ", ATTR_DIRECTORY,
                   parent, 0);
        error = fat_write(v, dir, DIR_ENTRY, raw, DIR_ENTRY);
    }
    return error;
}
