/*
 * rtc.c - MC146818 real time clock, QEMU: -rtc base=utc (the default).
 */
#include "kernel/rtc.h"

#include <stdbool.h>
#include <string.h>

#include "kernel/cpu.h"

enum { INDEX = 0x70, DATA = 0x71, NMI_OFF = 0x80 };
enum rtc_register {
    RTC_SECOND = 0, RTC_MINUTE = 2, RTC_HOUR = 4, RTC_DAY = 7, RTC_MONTH = 8,
    RTC_YEAR = 9, RTC_STATUS_A = 10, RTC_STATUS_B = 11,
};
#define SECONDS_TICKS 10000000000ull /* two seconds of any processor */
enum { UPDATING = 0x80, BINARY = 0x04, HOURS_24 = 0x02, AFTERNOON = 0x80 };
enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, CENTURY, FIELDS };

static uint8_t read(uint8_t r)
{
    outb(INDEX, r | NMI_OFF);
    return inb(DATA);
}

bool rtc_wait_second(void)
{
    uint8_t second = read(RTC_SECOND);
    uint64_t start = rdtsc();

    while (rdtsc() - start < SECONDS_TICKS)
        if (read(RTC_SECOND) != second)
            return true;
    return false;
}

static void read_fields(uint8_t f[FIELDS], uint8_t century)
{
    static const uint8_t registers[] = {
        RTC_SECOND, RTC_MINUTE, RTC_HOUR, RTC_DAY, RTC_MONTH, RTC_YEAR,
    };

    for (int i = 0; i < 10000 && (read(RTC_STATUS_A) & UPDATING); i++)
        cpu_pause();
    for (int i = SECOND; i <= YEAR; i++)
        f[i] = read(registers[i]);
    f[CENTURY] = century ? read(century) : 0;
}

static int from_bcd(uint8_t v) { return (v >> 4) * 10 + (v & 15); }

/* Howard Hinnant's civil calendar arithmetic: years that begin in March put
 * the leap day last. */
int64_t rtc_days(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 +
                          day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 -
                         year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

int64_t rtc_read(uint8_t century)
{
    uint8_t f[FIELDS], again[FIELDS], mode;
    int v[FIELDS];
    bool afternoon;

    /* Twice the same, or an update came between. */
    read_fields(f, century);
    for (int i = 0; i < 5; i++) {
        read_fields(again, century);
        if (memcmp(f, again, sizeof f) == 0)
            break;
        memcpy(f, again, sizeof f);
    }
    mode = read(RTC_STATUS_B);
    afternoon = !(mode & HOURS_24) && (f[HOUR] & AFTERNOON);
    if (!(mode & HOURS_24))
        f[HOUR] &= 0x7f;
    for (int i = 0; i < FIELDS; i++)
        v[i] = mode & BINARY ? f[i] : from_bcd(f[i]);
    if (!(mode & HOURS_24))
        v[HOUR] = v[HOUR] % 12 + (afternoon ? 12 : 0);
    v[YEAR] += v[CENTURY] >= 19 && v[CENTURY] < 30 ? v[CENTURY] * 100 : 2000;
    return ((rtc_days(v[YEAR], v[MONTH], v[DAY]) * 24 + v[HOUR]) * 60 +
            v[MINUTE]) * 60 + v[SECOND];
}
