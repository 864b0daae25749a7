/*
 * platform_metal.h - the bare machine's side of vm/platform.h, as kmain and
 * the platform_*.c files see it.
 */
#pragma once

#include <stdbool.h>

struct boot_info;
struct cmdline;

/* Before vm_create: memory limit, image source, panic hook. */
void platform_init(const struct boot_info *boot, const struct cmdline *c);
/* Before vm_run: from here on the timer makes the VM reach safepoints. */
void platform_start_heartbeat(void);
/* The image to run, as a path: `image=NAME` or "aerostat" in the store is
 * "/NAME.image" to the image. */
const char *platform_image_path(void);

/* platform_input.c: moves waiting input to the VM's event queue; true if
 * there was any. */
bool platform_pump_input(void);
/* The same: brings the pointer back onto a screen that became smaller. */
void platform_keep_pointer(void);
/* platform_screen.c: shows what changed, at most 60 times a second unless
 * `now`. */
void platform_flush_screen(bool now);
void platform_move_pointer(int x, int y);
/* The screen is somebody else's for a while; the desktop goes on drawing, to
 * be seen again afterwards. False: there is no desktop, or no memory. */
bool platform_cover_screen(void);
void platform_uncover_screen(void);

/* platform_hardware.c: devices for the image, unless `nohardware` is said.
 * Keeps `boot`. */
void platform_hardware_init(const struct boot_info *boot,
                            const struct cmdline *c);
