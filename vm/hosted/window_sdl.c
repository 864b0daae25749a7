/*
 * window_sdl.c - the window, its events and the clipboard, with SDL2.
 *
 * Owns the translation of SDL's keys, buttons and wheel to the VM's events
 * (vm.h). A key gives down, then char if it stands for one, then up; text
 * that the input method composed comes as chars of its own.
 */
#include "vm/hosted/hosted.h"
#include "vm/vm.h"

#include <SDL.h>
#include <stdio.h>
#include <string.h>

enum { WHEEL_NOTCH = 120 };

static SDL_Window *window;
static SDL_Surface *picture; /* screen.pixels, as SDL sees them */
static const uint32_t *picture_pixels;
static bool text_is_typed; /* the key's char was posted already */

/* As of the event being handled; SDL's own state is ahead, at the last one
 * that has arrived. */
static Uint32 buttons;
static int modifiers;

/* --- life --- */

static bool have_video(void)
{
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    return SDL_WasInit(SDL_INIT_VIDEO) || !SDL_Init(SDL_INIT_VIDEO);
}

bool window_open(void)
{
    if (!have_video()) {
        fprintf(stderr, "aerostat: no display: %s\n", SDL_GetError());
        return false;
    }
    window = SDL_CreateWindow("Aerostat", SDL_WINDOWPOS_UNDEFINED,
                              SDL_WINDOWPOS_UNDEFINED, (int)screen.width,
                              (int)screen.height, SDL_WINDOW_RESIZABLE);
    if (!window) {
        fprintf(stderr, "aerostat: no window: %s\n", SDL_GetError());
        return false;
    }
    SDL_StartTextInput();
    return true;
}

bool window_is_open(void)
{
    return window != NULL;
}

void window_resize(uint32_t width, uint32_t height)
{
    SDL_SetWindowSize(window, (int)width, (int)height);
}

/* The first one as long as there is no window. */
static int display_index(void)
{
    return window ? SDL_GetWindowDisplayIndex(window) : 0;
}

uint32_t window_scale_percent(void)
{
    float dpi;
    int percent;

    if (!have_video() || SDL_GetDisplayDPI(display_index(), NULL, &dpi, NULL))
        return 100;
    percent = (int)(dpi / 96 * 4 + 0.25f) * 25;
    return percent < 100 ? 100 : percent > 300 ? 300 : (uint32_t)percent;
}

void window_limit(uint32_t *width, uint32_t *height)
{
    SDL_Rect room;

    if (!SDL_WasInit(SDL_INIT_VIDEO) ||
        SDL_GetDisplayUsableBounds(display_index(), &room))
        return;
    if (*width > (uint32_t)room.w)
        *width = (uint32_t)room.w;
    if (*height > (uint32_t)room.h)
        *height = (uint32_t)room.h;
}

/* --- picture and pointer --- */

static bool have_picture(void)
{
    if (picture && picture_pixels == screen.pixels)
        return true;
    SDL_FreeSurface(picture);
    picture_pixels = screen.pixels;
    picture = SDL_CreateRGBSurfaceWithFormatFrom(
        screen.pixels, (int)screen.width, (int)screen.height, 32,
        (int)screen.width * 4, SDL_PIXELFORMAT_RGB888);
    return picture != NULL;
}

void window_show(void)
{
    SDL_Surface *to = SDL_GetWindowSurface(window);
    SDL_Rect from = { screen.left, screen.top, screen.right - screen.left,
                      screen.bottom - screen.top };
    SDL_Rect r = from;

    if (!to || !have_picture() || SDL_BlitSurface(picture, &from, to, &r))
        return;
    SDL_UpdateWindowSurfaceRects(window, &r, 1);
}

void window_cursor(const uint32_t *argb, int w, int h, int hot_x, int hot_y)
{
    static SDL_Cursor *current;
    SDL_Surface *s;
    SDL_Cursor *c;

    if (!window)
        return;
    s = SDL_CreateRGBSurfaceWithFormatFrom((void *)argb, w, h, 32, w * 4,
                                           SDL_PIXELFORMAT_ARGB8888);
    c = s ? SDL_CreateColorCursor(s, hot_x, hot_y) : NULL;
    SDL_FreeSurface(s);
    if (!c)
        return;
    SDL_SetCursor(c);
    SDL_FreeCursor(current);
    current = c;
}

/* --- keys --- */

static int modifiers_of(Uint16 m)
{
    return (m & KMOD_SHIFT ? VM_MOD_SHIFT : 0) |
           (m & KMOD_CTRL ? VM_MOD_CTRL : 0) |
           (m & KMOD_ALT ? VM_MOD_ALT : 0) | (m & KMOD_GUI ? VM_MOD_CMD : 0);
}

/* Codes that Smalltalk gives to keys without a character. */
static int special_key(SDL_Keycode k)
{
    static const struct {
        SDL_Keycode key;
        int code;
    } table[] = {
        { SDLK_HOME, 1 },       { SDLK_END, 4 },       { SDLK_INSERT, 5 },
        { SDLK_BACKSPACE, 8 },  { SDLK_TAB, 9 },       { SDLK_PAGEUP, 11 },
        { SDLK_PAGEDOWN, 12 },  { SDLK_RETURN, 13 },   { SDLK_ESCAPE, 27 },
        { SDLK_LEFT, 28 },      { SDLK_RIGHT, 29 },    { SDLK_UP, 30 },
        { SDLK_DOWN, 31 },      { SDLK_DELETE, 127 },  { SDLK_KP_ENTER, 13 },
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].key == k)
            return table[i].code;
    return 0;
}

static void post_key(int code, int press, int unicode)
{
    struct vm_event e = { VM_EVENT_KEY,
                          { code, press, modifiers, unicode, 0 } };

    vm_post_event(&e);
}

/* The code of a key by itself: shifted letters count as capitals. */
static int plain_code(SDL_Keycode k)
{
    if (k <= 0 || k > 0x10ffff || k & SDLK_SCANCODE_MASK)
        return 0;
    return k >= 'a' && k <= 'z' && modifiers & VM_MOD_SHIFT ? k - 32 : k;
}

static int code_of(const SDL_KeyboardEvent *e)
{
    int special = special_key(e->keysym.sym);

    return special ? special : plain_code(e->keysym.sym);
}

static void key_down(const SDL_KeyboardEvent *e)
{
    int code;

    modifiers = modifiers_of(e->keysym.mod);
    code = code_of(e);
    text_is_typed = false;
    if (!code)
        return;
    post_key(code, VM_KEY_DOWN, code);
    if (special_key(e->keysym.sym) || modifiers & ~VM_MOD_SHIFT) {
        post_key(code, VM_KEY_CHAR, code);
        text_is_typed = true;
    }
}

static void key_up(const SDL_KeyboardEvent *e)
{
    int code;

    modifiers = modifiers_of(e->keysym.mod);
    code = code_of(e);
    if (code)
        post_key(code, VM_KEY_UP, code);
}

/* Next code point of UTF-8 that SDL made, so it is well formed. */
static int next_code_point(const char **p)
{
    const unsigned char *s = (const unsigned char *)*p;
    int extra = *s < 0x80 ? 0 : *s < 0xe0 ? 1 : *s < 0xf0 ? 2 : 3;
    int c = extra ? *s & (0x3f >> extra) : *s;

    for (s++; extra && *s; extra--, s++)
        c = c << 6 | (*s & 0x3f);
    *p = (const char *)s;
    return c;
}

static void text_input(const char *utf8)
{
    if (text_is_typed)
        return;
    while (*utf8) {
        int c = next_code_point(&utf8);

        post_key(c < 256 ? c : '?', VM_KEY_CHAR, c);
    }
}

/* --- pointer and window --- */

static void post_mouse(int x, int y, int clicks)
{
    int named = (buttons & SDL_BUTTON_LMASK ? VM_BUTTON_RED : 0) |
                (buttons & SDL_BUTTON_MMASK ? VM_BUTTON_YELLOW : 0) |
                (buttons & SDL_BUTTON_RMASK ? VM_BUTTON_BLUE : 0);
    struct vm_event e = { VM_EVENT_MOUSE, { x, y, named, modifiers, clicks } };

    vm_post_event(&e);
}

static void post_wheel(const SDL_MouseWheelEvent *w)
{
    int sign = w->direction == SDL_MOUSEWHEEL_FLIPPED ? -1 : 1;
    struct vm_event e = { VM_EVENT_WHEEL,
                          { w->x * sign * WHEEL_NOTCH,
                            w->y * sign * WHEEL_NOTCH, modifiers, 0, 0 } };

    vm_post_event(&e);
}

static void post_window(int action)
{
    struct vm_event e = { VM_EVENT_WINDOW,
                          { action, 0, 0, (int32_t)screen.width,
                            (int32_t)screen.height } };

    vm_post_event(&e);
}

static void window_event(const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_SIZE_CHANGED:
        if ((uint32_t)e->data1 == screen.width &&
            (uint32_t)e->data2 == screen.height)
            break;
        screen_resize((uint32_t)e->data1, (uint32_t)e->data2);
        post_window(VM_WINDOW_RESIZED);
        break;
    case SDL_WINDOWEVENT_FOCUS_GAINED:
        modifiers = modifiers_of((Uint16)SDL_GetModState());
        break;
    case SDL_WINDOWEVENT_CLOSE:
        post_window(VM_WINDOW_CLOSE);
        break;
    case SDL_WINDOWEVENT_EXPOSED:
        screen.left = screen.top = 0;
        screen.right = (int32_t)screen.width;
        screen.bottom = (int32_t)screen.height;
        break;
    default:
        break;
    }
}

static void handle(const SDL_Event *e)
{
    switch (e->type) {
    case SDL_MOUSEMOTION:
        buttons = e->motion.state;
        post_mouse(e->motion.x, e->motion.y, 0);
        break;
    case SDL_MOUSEBUTTONDOWN:
        buttons |= (Uint32)SDL_BUTTON(e->button.button);
        post_mouse(e->button.x, e->button.y, e->button.clicks);
        break;
    case SDL_MOUSEBUTTONUP:
        buttons &= ~(Uint32)SDL_BUTTON(e->button.button);
        post_mouse(e->button.x, e->button.y, e->button.clicks);
        break;
    case SDL_MOUSEWHEEL:
        post_wheel(&e->wheel);
        break;
    case SDL_KEYDOWN:
        key_down(&e->key);
        break;
    case SDL_KEYUP:
        key_up(&e->key);
        break;
    case SDL_TEXTINPUT:
        text_input(e->text.text);
        break;
    case SDL_WINDOWEVENT:
        window_event(&e->window);
        break;
    default:
        break;
    }
}

void window_poll(void)
{
    SDL_Event e;

    while (SDL_PollEvent(&e))
        handle(&e);
}

void window_wait(uint64_t usecs)
{
    SDL_WaitEventTimeout(NULL, (int)((usecs + 999) / 1000));
}

/* --- clipboard --- */

const char *window_clipboard_get(size_t *n)
{
    static char *text;

    SDL_free(text);
    text = SDL_GetClipboardText();
    *n = text ? strlen(text) : 0;
    return text ? text : "";
}

void window_clipboard_set(const char *utf8, size_t n)
{
    char *copy = SDL_malloc(n + 1);

    if (!copy)
        return;
    memcpy(copy, utf8, n);
    copy[n] = 0;
    SDL_SetClipboardText(copy);
    SDL_free(copy);
}
