/*
 * scsi.c - SCSI block commands: what a disk is, reading, writing, errors.
 *
 * Source: SPC-3 (INQUIRY 6.4, MODE SENSE 6.9, REQUEST SENSE 6.27, sense data
 * 4.5), SBC-2 (READ CAPACITY 5.10, READ 5.6, WRITE 5.25, SYNCHRONIZE CACHE
 * 5.18).
 * QEMU: -device usb-storage,drive=d
 */
#include "drivers/scsi.h"

#include <errno.h>
#include <string.h>

#include "kernel/clock.h"

enum opcode {
    TEST_UNIT_READY = 0x00, REQUEST_SENSE = 0x03, INQUIRY = 0x12,
    MODE_SENSE_6 = 0x1a, START_STOP_UNIT = 0x1b, READ_CAPACITY_10 = 0x25,
    READ_10 = 0x28, WRITE_10 = 0x2a, SYNCHRONIZE_10 = 0x35, READ_16 = 0x88,
    WRITE_16 = 0x8a, READ_CAPACITY_16 = 0x9e, REPORT_LUNS = 0xa0,
};
enum { /* additional sense codes: SPC-3, annex D */
    CODE_BECOMING_READY = 0x04, CODE_CHANGED = 0x28, CODE_NO_MEDIUM = 0x3a,
    NEEDS_START = 0x02,
};
enum { TYPE_DISK = 0, TYPE_CD = 5, TYPE_OPTICAL = 7, TYPE_SIMPLE = 14 };
enum {
    RETRIES = 4, QUICK_USECS = 5 * 1000 * 1000,
    TRANSFER_USECS = 10 * 1000 * 1000, READY_USECS = 10 * 1000 * 1000,
    PAUSE_USECS = 50 * 1000, ALL_PAGES = 0x3f, MODE_BYTES = 192,
    INQUIRY_BYTES = 36, LUNS_BYTES = 512, SECTOR_MAX = 4096,
};

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)(v >> 32));
    put32(p + 4, (uint32_t)v);
}

/* --- answers --- */

bool scsi_parse_sense(struct scsi_sense *s, const uint8_t *b, size_t n)
{
    unsigned format = n ? b[0] & 0x7f : 0;

    *s = (struct scsi_sense){ 0 };
    if ((format == 0x70 || format == 0x71) && n >= 3) {
        s->key = b[2] & 15;
        if (n >= 14) {
            s->code = b[12];
            s->qualifier = b[13];
        }
        return true;
    }
    if ((format == 0x72 || format == 0x73) && n >= 4) {
        *s = (struct scsi_sense){ b[1] & 15, b[2], b[3] };
        return true;
    }
    return false;
}

/* Words in fields padded with spaces: 8 and 16 characters. */
static size_t add_words(char *to, size_t used, const uint8_t *b, size_t n)
{
    while (n && (b[n - 1] <= ' ' || b[n - 1] > '~'))
        n--;
    if (used && n)
        to[used++] = ' ';
    for (size_t i = 0; i < n; i++)
        to[used++] = b[i] >= ' ' && b[i] <= '~' ? (char)b[i] : '?';
    to[used] = 0;
    return used;
}

int scsi_parse_inquiry(struct scsi_geometry *g, const uint8_t *b, size_t n)
{
    unsigned type, qualifier;

    if (n < 5)
        return -ENODEV;
    type = b[0] & 31;
    qualifier = b[0] >> 5;
    g->removable = b[1] & 0x80;
    g->read_only = type == TYPE_CD;
    g->model[0] = 0;
    if (n >= 32)
        add_words(g->model, add_words(g->model, 0, b + 8, 8), b + 16, 16);
    return qualifier == 0 && (type == TYPE_DISK || type == TYPE_CD ||
                              type == TYPE_OPTICAL || type == TYPE_SIMPLE)
               ? 0
               : -ENODEV;
}

static int set_size(struct scsi_geometry *g, uint64_t last, uint32_t size)
{
    if (size < 512 || size > SECTOR_MAX || (size & (size - 1)) ||
        last == UINT64_MAX || last > INT64_MAX / size)
        return -EINVAL;
    g->sectors = last + 1;
    g->sector_size = size;
    return 0;
}

int scsi_parse_capacity10(struct scsi_geometry *g, const uint8_t *b, size_t n)
{
    if (n < 8)
        return -EINVAL;
    if (get32(b) == UINT32_MAX)
        return 1;
    return set_size(g, get32(b), get32(b + 4));
}

int scsi_parse_capacity16(struct scsi_geometry *g, const uint8_t *b, size_t n)
{
    if (n < 12)
        return -EINVAL;
    return set_size(g, (uint64_t)get32(b) << 32 | get32(b + 4), get32(b + 8));
}

/* An address in two bytes, of a unit (0) or flat (1): SAM-3 4.9. */
unsigned scsi_parse_luns(unsigned *luns, unsigned most, const uint8_t *b,
                         size_t n)
{
    size_t end = n < 8 ? 0 : 8 + (size_t)get32(b);
    unsigned count = 0;

    for (size_t i = 8; i + 8 <= end && i + 8 <= n && count < most; i += 8)
        if (b[i] >> 6 <= 1 && !get32(b + i + 4) && !b[i + 2] && !b[i + 3])
            luns[count++] = (b[i] & 0x3fu) << 8 | b[i + 1];
    return count;
}

/* --- commands --- */

static int sense_error(const struct scsi_sense *s)
{
    if (s->key == SENSE_PROTECTED)
        return -EROFS;
    if (s->key == SENSE_NOT_READY && s->code == CODE_NO_MEDIUM)
        return -ENODEV;
    return -EIO;
}

/* Why the last command failed. The answer goes behind the data, which a
 * repeated write still needs. */
static int read_sense(struct scsi_disk *d, struct scsi_sense *s)
{
    struct scsi_command c = {
        .cdb = { REQUEST_SENSE, 0, 0, 0, SCSI_SENSE_BYTES }, .cdb_bytes = 6,
        .in = true, .at = SCSI_BYTES, .bytes = SCSI_SENSE_BYTES,
        .usecs = QUICK_USECS,
    };
    uint32_t moved = 0;
    int error = d->run(d, &c, &moved);

    if (error < 0)
        return error;
    if (error || !scsi_parse_sense(s, d->bounce + SCSI_BYTES, moved))
        return -EIO;
    return sense_error(s);
}

/* A transport that delivers sense data leaves none to be asked for. */
static int take_sense(struct scsi_disk *d, struct scsi_sense *s)
{
    if (!d->sense_bytes)
        return read_sense(d, s);
    return scsi_parse_sense(s, d->sense, d->sense_bytes) ? sense_error(s)
                                                         : -EIO;
}

/* Bytes that were moved, or a negative errno with what the disk says of it
 * in `s`. */
static int run_once(struct scsi_disk *d, const struct scsi_command *c,
                    struct scsi_sense *s)
{
    uint32_t moved = 0;
    int error = d->run(d, c, &moved);

    *s = (struct scsi_sense){ 0 };
    if (error == SCSI_CHECK)
        error = take_sense(d, s);
    if (s->key == SENSE_ATTENTION && s->code == CODE_CHANGED)
        d->changed = true;
    return error ? error : (int)moved;
}

/* The same, again where that may help: after a reset, a hiccup of the bus, a
 * disk that was asleep; not where it could hit another medium. */
static int run(struct scsi_disk *d, const struct scsi_command *c,
               struct scsi_sense *s)
{
    int result = -EIO;

    for (int i = 0; i < RETRIES; i++) {
        result = run_once(d, c, s);
        if (result >= 0 || result == -ENODEV || result == -EROFS ||
            s->key == SENSE_ILLEGAL || s->key == SENSE_MEDIUM ||
            (s->key == SENSE_ATTENTION && s->code == CODE_CHANGED) ||
            (result == -ETIMEDOUT && i > 0)) /* waiting costs enough */
            break;
        if (s->key == SENSE_NOT_READY)
            clock_delay(PAUSE_USECS);
    }
    return result;
}

static int ask(struct scsi_disk *d, const uint8_t *cdb, uint8_t cdb_bytes,
               uint32_t bytes)
{
    struct scsi_command c = {
        .cdb_bytes = cdb_bytes, .in = true, .bytes = bytes,
        .usecs = QUICK_USECS,
    };
    struct scsi_sense s;

    memcpy(c.cdb, cdb, cdb_bytes);
    return run(d, &c, &s);
}

/* --- what it is --- */

static void start_motor(struct scsi_disk *d)
{
    const uint8_t cdb[6] = { START_STOP_UNIT, 0, 0, 0, 1 };

    ask(d, cdb, sizeof cdb, 0);
}

static int wait_ready(struct scsi_disk *d)
{
    const struct scsi_command test = {
        .cdb = { TEST_UNIT_READY }, .cdb_bytes = 6, .usecs = QUICK_USECS,
    };
    uint64_t until = clock_usecs() + READY_USECS;
    bool started = false;
    int error;

    for (;;) {
        struct scsi_sense s;

        error = run_once(d, &test, &s);
        if (error >= 0 || error == -ENODEV || clock_usecs() > until)
            break;
        if (s.key == SENSE_NOT_READY && s.code == CODE_BECOMING_READY &&
            s.qualifier == NEEDS_START && !started) {
            started = true;
            start_motor(d);
        }
        if (s.key != SENSE_ATTENTION)
            clock_delay(PAUSE_USECS);
    }
    return error < 0 ? error : 0;
}

static int read_capacity(struct scsi_disk *d, struct scsi_geometry *g)
{
    const uint8_t cdb10[10] = { READ_CAPACITY_10 };
    const uint8_t cdb16[16] = { READ_CAPACITY_16, 0x10, [13] = 32 };
    int n = ask(d, cdb10, sizeof cdb10, 8), error;

    if (n < 0)
        return n;
    error = scsi_parse_capacity10(g, d->bounce, (size_t)n);
    if (error <= 0)
        return error;
    n = ask(d, cdb16, sizeof cdb16, 32);
    return n < 0 ? n : scsi_parse_capacity16(g, d->bounce, (size_t)n);
}

/* A disk that cannot tell may be written. */
static void read_protection(struct scsi_disk *d, struct scsi_geometry *g)
{
    const uint8_t cdb[6] = { MODE_SENSE_6, 0, ALL_PAGES, 0, MODE_BYTES };
    int n = ask(d, cdb, sizeof cdb, MODE_BYTES);

    if (n >= 3 && (d->bounce[2] & 0x80))
        g->read_only = true;
}

int scsi_identify(struct scsi_disk *d, struct scsi_geometry *g)
{
    const uint8_t cdb[6] = { INQUIRY, 0, 0, 0, INQUIRY_BYTES };
    int n = ask(d, cdb, sizeof cdb, INQUIRY_BYTES), error;

    memset(g, 0, sizeof *g);
    if (n < 0)
        return n;
    error = scsi_parse_inquiry(g, d->bounce, (size_t)n);
    if (!error)
        error = wait_ready(d);
    if (!error)
        error = read_capacity(d, g);
    if (!error)
        read_protection(d, g);
    d->changed = false;
    return error;
}

int scsi_report_luns(struct scsi_disk *d, unsigned *luns, unsigned most)
{
    const uint8_t cdb[12] = { REPORT_LUNS, [8] = LUNS_BYTES >> 8,
                              [9] = LUNS_BYTES & 255 };
    int n = ask(d, cdb, sizeof cdb, LUNS_BYTES);

    return n < 0 ? n
                 : (int)scsi_parse_luns(luns, most, d->bounce, (size_t)n);
}

/* --- block_ops --- */

static void fill_transfer(struct scsi_command *c, bool write, uint64_t sector,
                          uint32_t count)
{
    memset(c, 0, sizeof *c);
    c->in = !write;
    c->usecs = TRANSFER_USECS;
    if (sector + count <= UINT32_MAX) {
        c->cdb[0] = write ? WRITE_10 : READ_10;
        put32(c->cdb + 2, (uint32_t)sector);
        c->cdb[7] = (uint8_t)(count >> 8);
        c->cdb[8] = (uint8_t)count;
        c->cdb_bytes = 10;
    } else {
        c->cdb[0] = write ? WRITE_16 : READ_16;
        put64(c->cdb + 2, sector);
        put32(c->cdb + 10, count);
        c->cdb_bytes = 16;
    }
}

/* A medium that was exchanged is not written to. */
static int scsi_move(struct block_device *b, bool write, uint64_t sector,
                     uint32_t count, const struct block_piece *pieces,
                     unsigned piece_count)
{
    struct scsi_disk *d = b->driver;
    struct scsi_command c;
    struct scsi_sense s;
    int n;

    if (d->changed)
        return -ENODEV;
    fill_transfer(&c, write, sector, count);
    c.bytes = count * b->sector_size;
    if (pieces->phys != b->bounce_phys) {
        c.pieces = pieces;
        c.piece_count = piece_count;
    }
    n = run(d, &c, &s);
    if (d->changed)
        return -ENODEV;
    return n < 0 ? n : (uint32_t)n == c.bytes ? 0 : -EIO;
}

/* A disk that refuses the command has nothing to flush. */
static int scsi_flush(struct block_device *b)
{
    const struct scsi_command c = {
        .cdb = { SYNCHRONIZE_10 }, .cdb_bytes = 10, .usecs = TRANSFER_USECS,
    };
    struct scsi_disk *d = b->driver;
    struct scsi_sense s;
    int n;

    if (d->changed)
        return -ENODEV;
    if (d->no_flush)
        return 0;
    n = run(d, &c, &s);
    if (n < 0 && s.key == SENSE_ILLEGAL) {
        d->no_flush = true;
        return 0;
    }
    return n < 0 ? n : d->changed ? -ENODEV : 0;
}

static const struct block_ops scsi_ops = {
    .read = block_read_dma, .write = block_write_dma,
    .flush = scsi_flush, .move = scsi_move,
};

void scsi_set_geometry(struct scsi_disk *d, const struct scsi_geometry *g)
{
    struct block_device *b = &d->device;

    b->ops = &scsi_ops;
    b->driver = d;
    b->sector_size = g->sector_size;
    b->sectors = g->sectors;
    b->bounce = d->bounce;
    b->bounce_phys = d->bounce_phys;
    b->bounce_sectors = SCSI_BYTES / g->sector_size;
    b->read_only = g->read_only;
    b->removable = g->removable;
    memcpy(b->model, g->model, sizeof b->model);
}
