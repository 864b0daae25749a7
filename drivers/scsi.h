/*
 * scsi.h - disks that take SCSI commands, whatever carries these to them.
 *
 * A transport embeds struct scsi_disk, fills in `run`, `link`, `lun` and the
 * bounce buffer, and calls scsi_identify. Reading answers is pure:
 * tests/unit/test_usb.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/block.h"

enum {
    SCSI_BYTES = 120 * 1024, /* of the bounce buffer: 240 sectors, which the
                              * oldest bridges still take */
    SCSI_CDB = 16, SCSI_SENSE_BYTES = 18,
    SCSI_BOUNCE = SCSI_BYTES + 4096, /* sense data come behind it */
    SCSI_CHECK = 1,          /* what `run` answers for CHECK CONDITION */
};

struct scsi_command {
    uint8_t cdb[SCSI_CDB];
    uint8_t cdb_bytes;
    bool in;        /* data comes from the disk */
    uint32_t at, bytes; /* of the data, in the bounce buffer ... */
    const struct block_piece *pieces; /* ... or here, if there are any */
    unsigned piece_count;
    uint64_t usecs;
};

struct scsi_geometry {
    uint32_t sector_size;
    uint64_t sectors;
    bool read_only, removable;
    char model[48];
};

struct scsi_disk {
    struct block_device device;
    /* 0 and the bytes moved; SCSI_CHECK; or a negative errno, the transport
     * being ready for the next command all the same. */
    int (*run)(struct scsi_disk *d, const struct scsi_command *c,
               uint32_t *moved);
    void *link; /* the transport's own */
    unsigned lun;
    uint8_t *bounce;
    uint64_t bounce_phys;
    /* What came with SCSI_CHECK; 0 bytes: the disk must be asked. */
    uint8_t sense[SCSI_SENSE_BYTES], sense_bytes;
    bool no_flush; /* it knows no SYNCHRONIZE CACHE */
    bool changed;  /* another medium lies in it */
};

/* Waits until the disk is ready and asks what it is. 0; -ENODEV: not a disk,
 * or no medium in it; other negative errnos. */
int scsi_identify(struct scsi_disk *d, struct scsi_geometry *g);
/* Which units share the disk's target: how many of them are in `luns`, or a
 * negative errno. */
int scsi_report_luns(struct scsi_disk *d, unsigned *luns, unsigned most);
/* Puts the answer into the block device, whose name is the caller's, as are
 * `most_pieces` and `reach` if its transport takes other memory than the
 * bounce buffer. */
void scsi_set_geometry(struct scsi_disk *d, const struct scsi_geometry *g);

/* --- answers --- */

enum { SENSE_NOT_READY = 2, SENSE_MEDIUM = 3, SENSE_ILLEGAL = 5,
       SENSE_ATTENTION = 6, SENSE_PROTECTED = 7 };

struct scsi_sense {
    uint8_t key, code, qualifier;
};

/* False: no sense data. Fixed and descriptor format. */
bool scsi_parse_sense(struct scsi_sense *s, const uint8_t *b, size_t n);
/* Standard INQUIRY data: 0, or -ENODEV: nothing with sectors. */
int scsi_parse_inquiry(struct scsi_geometry *g, const uint8_t *b, size_t n);
/* READ CAPACITY (10): 0; 1: ask with (16); -EINVAL. */
int scsi_parse_capacity10(struct scsi_geometry *g, const uint8_t *b,
                          size_t n);
int scsi_parse_capacity16(struct scsi_geometry *g, const uint8_t *b,
                          size_t n);
/* REPORT LUNS: how many it put into `luns`; those with more than one level
 * are left out. */
unsigned scsi_parse_luns(unsigned *luns, unsigned most, const uint8_t *b,
                         size_t n);
