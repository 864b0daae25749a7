/*
 * mkfont.c - build tool: rasterises a monospaced TrueType font into the
 * table of kernel/console_font.h, on standard output.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/console_font.h"

#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_STATIC
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb/stb_truetype.h>
#pragma GCC diagnostic pop

static unsigned char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes;
    long n;

    if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(f);
    bytes = malloc((size_t)n);
    if (!bytes || fread(bytes, 1, (size_t)n, f) != (size_t)n) {
        perror(path);
        exit(1);
    }
    fclose(f);
    return bytes;
}

static void print_glyph(const stbtt_fontinfo *font, int c, float scale,
                        int baseline)
{
    uint8_t cell[FONT_HEIGHT][FONT_WIDTH];
    int w, h, left, top;
    unsigned char *g =
        stbtt_GetCodepointBitmap(font, 0, scale, c, &w, &h, &left, &top);

    memset(cell, 0, sizeof cell);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int to_x = x + left, to_y = y + top + baseline;

            if (to_x >= 0 && to_x < FONT_WIDTH && to_y >= 0 &&
                to_y < FONT_HEIGHT)
                cell[to_y][to_x] = g[y * w + x];
        }
    free(g);
    printf("    {");
    for (int y = 0; y < FONT_HEIGHT; y++) {
        printf(" {");
        for (int x = 0; x < FONT_WIDTH; x++)
            printf(" %d,", cell[y][x]);
        printf(" },");
    }
    printf(" },\n");
}

int main(int argc, char **argv)
{
    stbtt_fontinfo font;
    int advance, bearing, ascent, descent, gap;
    float scale;

    if (argc != 2 || !stbtt_InitFont(&font, slurp(argv[1]), 0)) {
        fprintf(stderr, "usage: mkfont FONT.ttf\n");
        return 1;
    }
    stbtt_GetCodepointHMetrics(&font, 'M', &advance, &bearing);
    stbtt_GetFontVMetrics(&font, &ascent, &descent, &gap);
    scale = (float)FONT_WIDTH / (float)advance;
    printf("#include \"kernel/console_font.h\"\n"
           "const uint8_t console_font[FONT_LAST - FONT_FIRST + 1]"
           "[FONT_HEIGHT][FONT_WIDTH] = {\n");
    for (int c = FONT_FIRST; c <= FONT_LAST; c++)
        print_glyph(&font, c, scale, (int)((float)ascent * scale));
    printf("};\n");
    return 0;
}
