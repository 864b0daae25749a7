/*
 * plugin_font.c - module AerostatFontPlugin: glyphs from outline fonts.
 *
 * The image asks once per glyph and keeps the pixels, so nothing is cached
 * here but the opened fonts. Sizes are 64ths of a pixel per em; distances in
 * answers are 64ths too. stb_truetype does the rasterizing.
 */
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#include <math.h>
#include <stdlib.h>

#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_STATIC
#define STBTT_assert(x) ((void)sizeof(x))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <stb/stb_truetype.h>
#pragma GCC diagnostic pop

enum { MAX_FONTS = 64, NAME_SIZE = 64, MAX_SIZE = 2000 * 64 };
enum { MAX_CODE_POINT = 0x10ffff, QUARTERS = 4 };

struct font {
    bool used;
    char name[NAME_SIZE];
    stbtt_fontinfo info;
};

static struct font fonts[MAX_FONTS];

/* --- operands --- */

static struct font *font_of(oop handle)
{
    int64_t i = is_int(handle) ? int_value(handle) : 0;

    return i >= 1 && i <= MAX_FONTS && fonts[i - 1].used ? &fonts[i - 1]
                                                         : NULL;
}

static bool int_in(oop o, int low, int high, int *v)
{
    if (!is_int(o) || int_value(o) < low || int_value(o) > high)
        return false;
    *v = (int)int_value(o);
    return true;
}

/* Pixels for a font unit. */
static float scale_for(const struct font *f, int size)
{
    return stbtt_ScaleForMappingEmToPixels(&f->info, (float)size / 64);
}

static oop int64ths(float pixels)
{
    return int_oop(lrintf(pixels * 64));
}

/* --- opening --- */

static int find_or_free(const char *name)
{
    int free_slot = -1;

    for (int i = 0; i < MAX_FONTS; i++) {
        if (fonts[i].used && !strcmp(fonts[i].name, name))
            return i;
        if (!fonts[i].used && free_slot < 0)
            free_slot = i;
    }
    return free_slot;
}

int prim_font_load(struct vm *vm, int argc)
{
    char name[NAME_SIZE];
    const unsigned char *data;
    size_t n;
    oop s = vm->sp[0];
    int i;

    if (argc != 1 || !is_bytes(s) || byte_count(s) >= sizeof name)
        return PRIM_ERR_BAD_ARGUMENT;
    memcpy(name, bytes(s), byte_count(s));
    name[byte_count(s)] = 0;
    i = find_or_free(name);
    if (i < 0)
        return PRIM_ERR_LIMIT_EXCEEDED;
    if (!fonts[i].used) {
        data = plat_asset(name, &n);
        if (!data || n < 12 ||
            !stbtt_InitFont(&fonts[i].info, data,
                            stbtt_GetFontOffsetForIndex(data, 0)))
            return PRIM_ERR_NOT_FOUND;
        strcpy(fonts[i].name, name);
        fonts[i].used = true;
    }
    return prim_answer(vm, argc, int_oop(i + 1));
}

/* --- metrics --- */

/* Array of n given values; 0: no memory. */
static oop array_of(struct vm *vm, unsigned n, const oop *values)
{
    oop array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, n);

    for (unsigned i = 0; array && i < n; i++) {
        if (!values[i])
            return 0;
        heap_store(&vm->heap, array, i, values[i]);
    }
    return array;
}

/* font, size -> {ascent. descent. line gap}, all of them 0 or more */
int prim_font_metrics(struct vm *vm, int argc)
{
    const struct font *f = argc == 2 ? font_of(vm->sp[1]) : NULL;
    int size, ascent, descent, gap;
    oop values[3];
    float scale;

    if (!f || !int_in(vm->sp[0], 1, MAX_SIZE, &size))
        return PRIM_ERR_BAD_ARGUMENT;
    stbtt_GetFontVMetrics(&f->info, &ascent, &descent, &gap);
    scale = scale_for(f, size);
    values[0] = int64ths((float)ascent * scale);
    values[1] = int64ths((float)-descent * scale);
    values[2] = int64ths((float)gap * scale);
    return prim_answer_new(vm, argc, array_of(vm, 3, values));
}

/* font, code point, code point, size -> what to add between them */
int prim_font_kern(struct vm *vm, int argc)
{
    const struct font *f = argc == 4 ? font_of(vm->sp[3]) : NULL;
    int a, b, size;

    if (!f || !int_in(vm->sp[2], 0, MAX_CODE_POINT, &a) ||
        !int_in(vm->sp[1], 0, MAX_CODE_POINT, &b) ||
        !int_in(vm->sp[0], 1, MAX_SIZE, &size))
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer(
        vm, argc,
        int64ths((float)stbtt_GetCodepointKernAdvance(&f->info, a, b) *
                 scale_for(f, size)));
}

/* --- glyphs --- */

struct glyph {
    const struct font *font;
    int index;
    float scale, shift; /* shift: pixels to the right, below 1 */
    int left, top, right, bottom; /* pixels, y down from the baseline */
};

static oop render(struct vm *vm, const struct glyph *g)
{
    int w = g->right - g->left, h = g->bottom - g->top;
    oop class = heap_special(&vm->heap, SPL_CLASS_BYTE_ARRAY);
    uint64_t n = (uint64_t)w * (unsigned)h;
    int error;
    oop o = heap_instantiate(&vm->heap, class, n, &error);

    if (o && n)
        stbtt_MakeGlyphBitmapSubpixel(&g->font->info, bytes(o), w, h, w,
                                      g->scale, g->scale, g->shift, 0,
                                      g->index);
    return o;
}

/* font, code point, size, quarter pixels to the right -> {width. height.
 * left. rows above the baseline. advance. alpha bytes} */
int prim_font_glyph(struct vm *vm, int argc)
{
    struct glyph g = { .font = argc == 4 ? font_of(vm->sp[3]) : NULL };
    int c, size, quarter, advance, bearing;
    oop values[6];

    if (!g.font || !int_in(vm->sp[2], 0, MAX_CODE_POINT, &c) ||
        !int_in(vm->sp[1], 1, MAX_SIZE, &size) ||
        !int_in(vm->sp[0], 0, QUARTERS - 1, &quarter))
        return PRIM_ERR_BAD_ARGUMENT;
    g.index = stbtt_FindGlyphIndex(&g.font->info, c);
    if (!g.index)
        return PRIM_ERR_NOT_FOUND;
    g.scale = scale_for(g.font, size);
    g.shift = (float)quarter / QUARTERS;
    stbtt_GetGlyphHMetrics(&g.font->info, g.index, &advance, &bearing);
    stbtt_GetGlyphBitmapBoxSubpixel(&g.font->info, g.index, g.scale, g.scale,
                                    g.shift, 0, &g.left, &g.top, &g.right,
                                    &g.bottom);
    values[0] = int_oop(g.right - g.left);
    values[1] = int_oop(g.bottom - g.top);
    values[2] = int_oop(g.left);
    values[3] = int_oop(-g.top);
    values[4] = int64ths((float)advance * g.scale);
    values[5] = render(vm, &g);
    return prim_answer_new(vm, argc, array_of(vm, 6, values));
}
