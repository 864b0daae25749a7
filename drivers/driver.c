/*
 * driver.c - hands the machine's devices to the drivers that know them.
 */
#include "drivers/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/pci.h"

static const struct driver *const drivers[] = {
#define DRIVER(name) &name##_driver,
#include "drivers/drivers.def"
#undef DRIVER
};

enum { DRIVER_COUNT = sizeof drivers / sizeof *drivers };

static const char *left_out = "";

void drivers_leave_out(const char *names) { left_out = names; }

static bool is_left_out(const char *name)
{
    size_t n = strlen(name);

    for (const char *p = left_out; *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || !p[n]))
            return true;
    }
    return false;
}

static bool matches(const struct pci_match *m, const struct pci_device *d)
{
    return (m->vendor == PCI_ANY_ID || m->vendor == d->vendor) &&
           (m->device == PCI_ANY_ID || m->device == d->device) &&
           (m->class_code < 0 || m->class_code == d->class_code) &&
           (m->subclass < 0 || m->subclass == d->subclass) &&
           (m->prog_if < 0 || m->prog_if == d->prog_if);
}

static void report(const struct driver *drv, int error)
{
    if (error)
        klog("%s: not usable (error %d)\n", drv->name, error);
}

static void probe_pci(const struct driver *drv)
{
    struct pci_device *d;

    for (unsigned i = 0; (d = pci_device(i)) != NULL; i++) {
        const struct pci_match *m = drv->ids;

        if (d->driver)
            continue;
        while (m->vendor && !matches(m, d))
            m++;
        if (!m->vendor)
            continue;
        int error = drv->probe(d);

        report(drv, error);
        if (error)
            pci_silence(d);
        else
            d->driver = drv;
    }
}

void drivers_probe(bool early)
{
    for (unsigned i = 0; i < DRIVER_COUNT; i++) {
        if (drivers[i]->early != early)
            continue;
        irq_set_owner(drivers[i]->name);
        if (is_left_out(drivers[i]->name))
            klog("%s: left out, as asked\n", drivers[i]->name);
        else if (drivers[i]->ids)
            probe_pci(drivers[i]);
        else
            report(drivers[i], drivers[i]->probe(NULL));
        irq_set_owner("kernel");
    }
}

void drivers_poll(void)
{
    for (unsigned i = 0; i < DRIVER_COUNT; i++)
        if (drivers[i]->poll)
            drivers[i]->poll();
}
