/*
 * acpi.h - what the firmware's tables say. ACPI 6.4, chapter 5.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct boot_info;

enum {
    ACPI_IO_APICS = 8, ACPI_OVERRIDES = 24, ACPI_CORES = 256, ACPI_MCFG = 4,
};

struct acpi {
    bool present;
    /* MADT */
    uint64_t local_apic; /* physical; 0: no MADT */
    struct {
        uint64_t address;
        uint32_t first_line;
    } io_apic[ACPI_IO_APICS];
    unsigned io_apic_count;
    struct {
        uint8_t isa_line;
        uint32_t line;
        bool level, active_low;
    } override[ACPI_OVERRIDES];
    unsigned override_count;
    uint32_t cores[ACPI_CORES]; /* APIC numbers of processors that work */
    unsigned core_count;
    /* MCFG: where configuration space is, of PCI segment 0 */
    struct {
        uint64_t address; /* of bus 0 */
        uint8_t first_bus, last_bus;
    } mcfg[ACPI_MCFG];
    unsigned mcfg_count;
    /* HPET */
    uint64_t hpet; /* physical; 0: none */
    /* FADT */
    uint32_t smi_port, pm1a_control, pm1b_control;
    uint32_t pm1a_event, pm1b_event, gpe0, gpe1, pm_timer;
    uint16_t sci_line;
    uint8_t acpi_enable, century_register, pm1_event_bytes;
    uint8_t gpe0_bytes, gpe1_bytes;
    bool power_button; /* is a fixed one */
    bool reset_by_port, reset_by_memory;
    uint64_t reset_address;
    uint8_t reset_value;
    /* DSDT's _S5 */
    bool has_s5;
    uint8_t s5_a, s5_b;
};

/* Reads the tables; whatever is missing or damaged stays zero. */
void acpi_init(const struct boot_info *boot);
const struct acpi *acpi(void);

/* Finds the package \_S5 in AML code and its two sleep types: a search for
 * the name's bytes, since running AML for this is out of proportion. Pure;
 * tests/unit/test_acpi.c. */
bool acpi_find_s5(const uint8_t *aml, uint64_t bytes, uint8_t *a, uint8_t *b);
