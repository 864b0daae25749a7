/*
 * choose.h - asks at boot which of the saved images shall run.
 */
#pragma once

/* Lists them on screen and serial line, the last saved first, and waits for
 * a digit or Enter on keyboard or serial line. NULL: there is none. */
const char *choose_image(void);
