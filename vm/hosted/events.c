/*
 * events.c - pointer and keys from a file or a named pipe: --events FILE.
 *
 * A line is what a person does:
 *
 *   move X Y                 the pointer goes there
 *   press BUTTON             left, middle or right
 *   release BUTTON
 *   click X Y [BUTTON]       move, press, release
 *   wheel DX DY              in notches; up and right are positive
 *   key [MODIFIER+]...NAME   a character, or return, tab, left, ...;
 *                            modifiers are shift, ctrl, alt, cmd
 *   type TEXT                what is left of the line, key by key
 *   wait MILLISECONDS
 *   screenshot FILE          the screen as PPM
 *   exit CODE                ends the VM
 *
 * The image sets the pace: the next event comes when it has taken the ones
 * before, or has not listened for PATIENCE.
 */
#define _GNU_SOURCE
#include "vm/hosted/hosted.h"
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_SIZE = 4096, PATIENCE = 2000000, WHEEL_NOTCH = 120 };

static struct {
    bool wanted;   /* there may be more */
    int fd;
    char bytes[LINE_SIZE]; /* read and not yet done, from `first` */
    size_t first, count;
    char line[LINE_SIZE];
    unsigned number;  /* of that line, for messages */
    const char *text; /* still to be typed */
    uint64_t not_before, listened;
    int x, y, buttons;
} in;

void events_from(const char *file)
{
    /* A pipe opened to write as well never ends. */
    struct stat st;
    bool pipe = !stat(file, &st) && S_ISFIFO(st.st_mode);

    in.fd = open(file, (pipe ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
    if (in.fd < 0) {
        fprintf(stderr, "aerostat: %s: %s\n", file, strerror(errno));
        exit(2);
    }
    in.text = "";
    in.wanted = true;
}

bool events_wanted(void)
{
    return in.wanted;
}

static _Noreturn void wrong_line(void)
{
    fprintf(stderr, "aerostat: cannot do line %u of the events: %s\n",
            in.number, in.line);
    exit(2);
}

/* --- the events --- */

static void post_mouse(int modifiers)
{
    struct vm_event e = { VM_EVENT_MOUSE,
                          { in.x, in.y, in.buttons, modifiers, 0 } };

    vm_post_event(&e);
}

static void post_key(int code, int modifiers)
{
    static const int press[] = { VM_KEY_DOWN, VM_KEY_CHAR, VM_KEY_UP };

    for (int i = 0; i < 3; i++) {
        struct vm_event e = { VM_EVENT_KEY,
                              { code < 256 ? code : '?', press[i], modifiers,
                                code, 0 } };

        vm_post_event(&e);
    }
}

static int button_named(const char *name)
{
    return !strcmp(name, "left")     ? VM_BUTTON_RED
           : !strcmp(name, "middle") ? VM_BUTTON_YELLOW
           : !strcmp(name, "right")  ? VM_BUTTON_BLUE
                                     : 0;
}

static void press(const char *name, bool down)
{
    int button = button_named(name);

    if (!button)
        wrong_line();
    in.buttons = down ? in.buttons | button : in.buttons & ~button;
    post_mouse(0);
}

static void move(const char *args)
{
    char button[16] = "";
    int n = sscanf(args, "%d %d %15s", &in.x, &in.y, button);

    if (n < 2)
        wrong_line();
    post_mouse(0);
}

static void click(const char *args)
{
    char button[16] = "left";

    move(args);
    sscanf(args, "%*d %*d %15s", button);
    press(button, true);
    press(button, false);
}

static void wheel(const char *args)
{
    struct vm_event e = { VM_EVENT_WHEEL, { 0 } };

    if (sscanf(args, "%d %d", &e.arg[0], &e.arg[1]) != 2)
        wrong_line();
    e.arg[0] *= WHEEL_NOTCH;
    e.arg[1] *= WHEEL_NOTCH;
    vm_post_event(&e);
}

static int key_named(const char *name)
{
    static const struct {
        const char *name;
        int code;
    } table[] = {
        { "home", 1 },      { "end", 4 },        { "insert", 5 },
        { "backspace", 8 }, { "tab", 9 },        { "pageup", 11 },
        { "pagedown", 12 }, { "return", 13 },    { "escape", 27 },
        { "left", 28 },     { "right", 29 },     { "up", 30 },
        { "down", 31 },     { "space", 32 },     { "delete", 127 },
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return table[i].code;
    return name[0] && !name[1] ? name[0] & 0x7f : 0;
}

static int modifier_named(const char *name, size_t n)
{
    static const struct {
        const char *name;
        int bit;
    } table[] = {
        { "shift", VM_MOD_SHIFT }, { "ctrl", VM_MOD_CTRL },
        { "alt", VM_MOD_ALT },     { "cmd", VM_MOD_CMD },
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == n && !memcmp(table[i].name, name, n))
            return table[i].bit;
    return 0;
}

static void key(const char *name)
{
    int modifiers = 0;
    const char *plus;
    int code;

    while ((plus = strchr(name, '+')) && plus > name) {
        int bit = modifier_named(name, (size_t)(plus - name));

        if (!bit)
            wrong_line();
        modifiers |= bit;
        name = plus + 1;
    }
    code = key_named(name);
    if (!code)
        wrong_line();
    post_key(code, modifiers);
}

/* --- the lines --- */

static void do_line(void)
{
    char *args = in.line + strcspn(in.line, " ");

    if (*args)
        *args++ = 0;
    if (!strcmp(in.line, "move"))
        move(args);
    else if (!strcmp(in.line, "press"))
        press(args, true);
    else if (!strcmp(in.line, "release"))
        press(args, false);
    else if (!strcmp(in.line, "click"))
        click(args);
    else if (!strcmp(in.line, "wheel"))
        wheel(args);
    else if (!strcmp(in.line, "key"))
        key(args);
    else if (!strcmp(in.line, "type"))
        in.text = args;
    else if (!strcmp(in.line, "wait"))
        in.not_before = plat_usecs() + strtoull(args, NULL, 10) * 1000;
    else if (!strcmp(in.line, "screenshot"))
        screen_save_as(args);
    else if (!strcmp(in.line, "exit"))
        plat_exit(atoi(args));
    else if (*in.line)
        wrong_line();
}

/* Reads on; false: there is no whole line (yet). */
static bool next_line(void)
{
    char *end = memchr(in.bytes + in.first, '\n', in.count);

    if (!end) {
        ssize_t n;

        memmove(in.bytes, in.bytes + in.first, in.count);
        in.first = 0;
        n = read(in.fd, in.bytes + in.count, LINE_SIZE - in.count);
        if (n == 0 || in.count == LINE_SIZE)
            in.wanted = false;
        if (n > 0)
            in.count += (size_t)n;
        end = memchr(in.bytes, '\n', in.count);
        if (!end)
            return false;
    }
    *end = 0;
    strcpy(in.line, in.bytes + in.first);
    in.text = "";
    in.count -= strlen(in.line) + 1;
    in.first += strlen(in.line) + 1;
    in.number++;
    return true;
}

void events_poll(void)
{
    uint64_t now = plat_usecs();

    if (vm_event_waits() && now - in.listened < PATIENCE)
        return;
    in.listened = now;
    if (now < in.not_before)
        return;
    if (*in.text)
        post_key(*in.text++ & 0x7f, 0);
    else if (next_line())
        do_line();
}
