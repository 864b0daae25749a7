/*
 * test_vbe.c - a video BIOS made of software, in a low memory of our own:
 * one that is helpful, and ones that lie. Includes the driver, with that
 * memory where the kernel has the machine's.
 */
#define phys_to_virt kernel_phys_to_virt
#include "tests/unit/kernel_fake.h"
#undef phys_to_virt

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

static void *phys_to_virt(uint64_t phys);

#include "drivers/vbe.c"

enum { LOW = 0x100000, BUFFER = 0x9000, LIST = 0x8000 };

static uint8_t *low; /* a block of its own: the sanitizer sees its end */

static void *phys_to_virt(uint64_t phys)
{
    assert_true(phys < LOW);
    return low + phys;
}

/* --- the BIOS --- */

static struct {
    bool allowed, no_edid, refuses, first_block_only;
    uint32_t list_at; /* of mode numbers; 0: LIST */
    struct mode_info modes[8];
    unsigned count, set, asked;
    uint16_t last;
    uint8_t edid[2 * EDID_BYTES];
} bios;

bool bios_allowed(void) { return bios.allowed; }
void *bios_buffer(void) { return low + BUFFER; }
uint16_t bios_buffer_segment(void) { return BUFFER >> 4; }

static void tell_controller(void)
{
    struct controller *c = bios_buffer();
    uint32_t at = bios.list_at ? bios.list_at : LIST;

    memcpy(c->signature, "VESA", 4);
    c->version = 0x300;
    c->modes_segment = at >= LOW ? 0xffff : (uint16_t)(at >> 4);
    c->modes_offset = (uint16_t)(at - c->modes_segment * 16u);
}

int bios_video(struct bios_regs *r)
{
    assert_int_equal(r->es, BUFFER >> 4);
    bios.asked++;
    if (r->eax == GET_CONTROLLER) {
        tell_controller();
    } else if (r->eax == GET_MODE && r->ecx - 0x100 < bios.count) {
        memcpy(bios_buffer(), &bios.modes[r->ecx - 0x100],
               sizeof(struct mode_info));
    } else if (r->eax == READ_DDC && !bios.no_edid && r->edx < 2) {
        memcpy(bios_buffer(),
               bios.edid + (bios.first_block_only ? 0 : r->edx) * EDID_BYTES,
               EDID_BYTES);
    } else if (r->eax == SET_MODE && !bios.refuses) {
        bios.set++;
        bios.last = (uint16_t)r->ebx;
    } else {
        r->eax = 0x014f;
        return 0;
    }
    r->eax = DONE;
    return 0;
}

/* --- the screen --- */

static struct display screen;
static bool there;
static struct framebuffer shown;
static void row(struct display *d, int x, int y, const uint32_t *p, int n) {}
static const struct display_ops ops = { .row = row };

struct display *framebuffer_within(uint64_t first, uint64_t bytes)
{
    return there ? &screen : NULL;
}

int framebuffer_change(const struct framebuffer *f)
{
    shown = *f;
    return 0;
}

int framebuffer_register(const char *name, const struct framebuffer *f)
{
    shown = *f;
    there = true;
    screen.width = f->width;
    screen.height = f->height;
    return 0;
}

struct display *display_primary(void) { return there ? &screen : NULL; }
static struct mode named;
struct mode display_named_mode(void) { return named; }

int display_set_mode(struct display *d, struct mode m)
{
    int error = mode_fits(&d->limits, m) ? d->set_mode(d, m) : -EINVAL;

    if (!error) {
        d->width = m.width;
        d->height = m.height;
    }
    return error;
}

/* --- tests --- */

static void add(uint16_t width, uint16_t height, uint8_t bits)
{
    struct pixel_format f = pixels_usual(bits);
    uint16_t numbers[2] = { (uint16_t)(0x100 + bios.count), END };

    memcpy(low + LIST + 2 * bios.count, numbers, sizeof numbers);
    bios.modes[bios.count++] = (struct mode_info){
        .attributes = SUPPORTED | GRAPHICS | HAS_LINEAR,
        .pitch = (uint16_t)(width * 4), .width = width, .height = height,
        .bits = bits, .model = DIRECT_COLOUR,
        .red = { f.red.bits, f.red.at }, .green = { f.green.bits, f.green.at },
        .blue = { f.blue.bits, f.blue.at }, .address = 0xfd000000,
    };
}

static void set_timing(uint8_t *t, unsigned width, unsigned height)
{
    t[0] = 1;
    t[2] = (uint8_t)width;
    t[4] = (uint8_t)(width >> 4 & 0xf0);
    t[5] = (uint8_t)height;
    t[7] = (uint8_t)(height >> 4 & 0xf0);
}

static void set_sum(uint8_t *b)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < EDID_BYTES - 1; i++)
        sum = (uint8_t)(sum + b[i]);
    b[EDID_BYTES - 1] = (uint8_t)-sum;
}

static void set_monitor(unsigned width, unsigned height)
{
    uint8_t *b = bios.edid;

    memset(b, 0, EDID_BYTES);
    memset(b + 1, 255, 6);
    if (width)
        set_timing(b + 54, width, height);
    set_sum(b);
}

/* Whose first block says nothing, but that another follows: CTA-861. */
static void set_large_monitor(unsigned width, unsigned height)
{
    uint8_t *b = bios.edid + EDID_BYTES;

    set_monitor(0, 0);
    bios.edid[EDID_EXTENSIONS] = 1;
    set_sum(bios.edid);
    b[0] = 2;
    b[2] = 4;
    set_timing(b + 4, width, height);
    set_sum(b);
}

static int fresh(void **state)
{
    free(low);
    low = calloc(1, LOW);
    memset(&bios, 0, sizeof bios);
    memset(&screen, 0, sizeof screen);
    memset(&shown, 0, sizeof shown);
    bios.allowed = there = true;
    screen.ops = &ops;
    screen.width = 1024;
    screen.height = 768;
    named = (struct mode){ 0, 0 };
    mode_count = 0;
    add(640, 480, 32);
    add(1280, 800, 16);
    add(1280, 800, 32);
    add(1280, 800, 24);
    add(1600, 900, 32);
    return 0;
}

static int forget(void **state)
{
    free(low);
    low = NULL;
    return 0;
}

static void probe_it(void)
{
    assert_int_equal(vbe_driver.probe(NULL), 0);
    assert_null(screen.set_mode); /* never again */
}

static void the_monitors_own_size(void **state)
{
    set_monitor(1600, 900);
    probe_it();
    assert_int_equal(bios.last, 0x104 | LINEAR);
    assert_int_equal(shown.width, 1600);
    assert_int_equal(screen.height, 900);
    assert_int_equal(screen.edid.width, 1600);
}

static void a_size_in_an_extension(void **state)
{
    set_large_monitor(1600, 900);
    probe_it();
    assert_int_equal(bios.last, 0x104 | LINEAR);
    assert_int_equal(screen.edid.width, 1600);
}

static void a_bios_that_reads_the_first_block_only(void **state)
{
    set_large_monitor(1600, 900);
    bios.first_block_only = true;
    probe_it();
    assert_int_equal(screen.edid.width, 0);
    assert_int_equal(bios.set, 0);
}

static void the_named_size_with_the_most_bits(void **state)
{
    set_monitor(1600, 900);
    named = (struct mode){ 1280, 800 };
    probe_it();
    assert_int_equal(bios.last, 0x102 | LINEAR);
    assert_int_equal(shown.format.bits, 32);
}

static void what_is_right_already_stays(void **state)
{
    set_monitor(1024, 768);
    probe_it();
    assert_int_equal(bios.set, 0);
    assert_int_equal(bios.asked, 1); /* nor are modes asked for */
    fresh(state);
    bios.no_edid = true;
    probe_it();
    assert_int_equal(bios.set, 0);
    fresh(state);
    set_monitor(1920, 1200); /* which the adapter has not */
    probe_it();
    assert_int_equal(bios.set, 0);
    assert_int_equal(screen.width, 1024);
}

static void nothing_and_almost_nothing_are_improved(void **state)
{
    bios.no_edid = true;
    screen.width = 640;
    screen.height = 480;
    probe_it();
    assert_int_equal(screen.width, 1280);
    fresh(state);
    bios.no_edid = true;
    there = false;
    probe_it();
    assert_true(there);
    assert_int_equal(shown.width, 1280);
}

static void a_bios_that_refuses(void **state)
{
    set_monitor(1600, 900);
    bios.refuses = true;
    assert_int_equal(vbe_driver.probe(NULL), -EIO);
    assert_int_equal(screen.width, 1024);
    assert_null(screen.set_mode);
}

static void where_it_may_not_be_called(void **state)
{
    set_monitor(1600, 900);
    bios.allowed = false;
    probe_it();
    assert_int_equal(bios.asked, 0);
}

/* Modes without linear memory, of text, of palettes, and impossible ones. */
static void modes_that_cannot_be_used(void **state)
{
    set_monitor(1600, 900);
    bios.modes[4].attributes &= (uint16_t)~HAS_LINEAR;
    probe_it();
    fresh(state);
    set_monitor(1600, 900);
    bios.modes[4].model = 4;
    probe_it();
    fresh(state);
    set_monitor(1600, 900);
    bios.modes[4].address = 0;
    probe_it();
    fresh(state);
    set_monitor(1600, 900);
    bios.modes[4].red.at = 200;
    probe_it();
    assert_int_equal(bios.set, 0);
}

/* A list without an end, up to the end of low memory or beyond it. */
static void lists_that_do_not_end(void **state)
{
    set_monitor(1600, 900);
    for (unsigned at = 0; at < 4096; at += 2)
        memcpy(low + LIST + at, "\4\1", 2);
    probe_it();
    assert_int_equal(mode_count, MODE_NUMBERS);
    fresh(state);
    set_monitor(1600, 900);
    bios.list_at = LOW - 3;
    probe_it();
    fresh(state);
    set_monitor(1600, 900);
    bios.list_at = LOW + 64;
    probe_it();
    assert_int_equal(mode_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_monitors_own_size, fresh),
        cmocka_unit_test_setup(a_size_in_an_extension, fresh),
        cmocka_unit_test_setup(a_bios_that_reads_the_first_block_only, fresh),
        cmocka_unit_test_setup(the_named_size_with_the_most_bits, fresh),
        cmocka_unit_test_setup(what_is_right_already_stays, fresh),
        cmocka_unit_test_setup(nothing_and_almost_nothing_are_improved,
                               fresh),
        cmocka_unit_test_setup(a_bios_that_refuses, fresh),
        cmocka_unit_test_setup(where_it_may_not_be_called, fresh),
        cmocka_unit_test_setup(modes_that_cannot_be_used, fresh),
        cmocka_unit_test_setup(lists_that_do_not_end, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
