/*
 * test_ids.c - names of devices out of the packed lists, made up and real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/ids.h"

static const char small[] =
    "Controller\nCorporation\n\n"
    "0001 One\n"
    "8086 Intel \x82\n"
    "\t1237 440FX\n"
    "\t7000 ISA \x81 and more\n"
    "ffff Last\n"
    "~01 Storage \x81\n"
    "\t06 SATA \x81\n"
    "~ff Other\n";
static const struct id_table table = { small, sizeof small - 1 };

static char name[64];

static void names_are_found(void **state)
{
    assert_string_equal(id_vendor(table, 1, name, 64), "One");
    assert_string_equal(id_vendor(table, 0x8086, name, 64),
                        "Intel Corporation");
    assert_string_equal(id_vendor(table, 0xffff, name, 64), "Last");
    assert_string_equal(id_device(table, 0x8086, 0x1237, name, 64), "440FX");
    assert_string_equal(id_device(table, 0x8086, 0x7000, name, 64),
                        "ISA Controller and more");
    assert_string_equal(id_class(table, 1, 6, name, 64), "SATA Controller");
}

static void the_class_does_where_the_subclass_is_unknown(void **state)
{
    assert_string_equal(id_class(table, 1, 9, name, 64),
                        "Storage Controller");
    assert_string_equal(id_class(table, 0xff, 0, name, 64), "Other");
}

static void what_is_not_there_has_no_name(void **state)
{
    assert_string_equal(id_vendor(table, 0, name, 64), "");
    assert_string_equal(id_vendor(table, 2, name, 64), "");
    assert_string_equal(id_device(table, 0x8086, 0x7001, name, 64), "");
    assert_string_equal(id_device(table, 1, 0x1237, name, 64), "");
    assert_string_equal(id_class(table, 2, 0, name, 64), "");
}

static void long_names_are_cut_between_words(void **state)
{
    assert_string_equal(id_vendor(table, 0x8086, name, 8), "Intel ");
    assert_string_equal(id_vendor(table, 1, name, 1), "");
}

/* Cut anywhere, the list is read no further than its end (ASan looks). */
static void a_list_cut_short_is_survived(void **state)
{
    for (size_t n = 0; n < sizeof small; n++) {
        char *copy = malloc(n ? n : 1);
        struct id_table cut = { copy, n };

        memcpy(copy, small, n);
        id_vendor(cut, 0xffff, name, 64);
        id_device(cut, 0x8086, 0x7000, name, 64);
        id_class(cut, 1, 6, name, 64);
        free(copy);
    }
}

static void debian_s_list(void **state)
{
    static char text[1 << 21];
    FILE *f = popen("LC_ALL=C awk -f kernel/ids.awk /usr/share/misc/pci.ids",
                    "r");
    struct id_table all = { text, fread(text, 1, sizeof text, f) };

    assert_int_equal(pclose(f), 0);
    assert_string_equal(id_vendor(all, 0x8086, name, 64),
                        "Intel Corporation");
    assert_string_equal(id_device(all, 0x8086, 0x100e, name, 64),
                        "82540EM Gigabit Ethernet Controller");
    assert_string_equal(id_device(all, 0x1af4, 0x1001, name, 64),
                        "Virtio block device");
    assert_string_equal(id_class(all, 0x0c, 0x03, name, 64),
                        "USB controller");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(the_class_does_where_the_subclass_is_unknown),
        cmocka_unit_test(what_is_not_there_has_no_name),
        cmocka_unit_test(long_names_are_cut_between_words),
        cmocka_unit_test(a_list_cut_short_is_survived),
        cmocka_unit_test(debian_s_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
