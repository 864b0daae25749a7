/*
 * cmdline.c - splits and searches the command line.
 */
#include "kernel/cmdline.h"

#include <string.h>

static const char image_args[] = "image.args=";

/* Copies the next word to *to without its quotes; answers what follows. A
 * quote left open runs to the end of the line. */
static const char *next_word(const char *p, char **to, const char *end)
{
    bool quoted = false;

    for (; *p && (quoted || *p != ' '); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (*to < end)
            *(*to)++ = *p;
    }
    return p;
}

static void add_word(struct cmdline *c, char *word, bool *for_image)
{
    size_t n = sizeof image_args - 1;

    if (!*for_image && strncmp(word, image_args, n) == 0) {
        *for_image = true;
        word += n;
        if (!*word)
            return;
    }
    if (*for_image && c->image_arg_count < CMDLINE_WORDS)
        c->image_args[c->image_arg_count++] = word;
    else if (!*for_image && c->count < CMDLINE_WORDS)
        c->words[c->count++] = word;
}

void cmdline_parse(struct cmdline *c, const char *line)
{
    char *to = c->text, *end = c->text + CMDLINE_BYTES - 1;
    bool for_image = false;

    memset(c, 0, sizeof *c);
    for (;;) {
        char *word = to;

        while (*line == ' ')
            line++;
        if (!*line || to >= end)
            return;
        line = next_word(line, &to, end);
        *to++ = 0;
        add_word(c, word, &for_image);
    }
}

const char *cmdline_get(const struct cmdline *c, const char *name)
{
    size_t n = strlen(name);

    for (unsigned i = c->count; i-- > 0;) {
        const char *word = c->words[i];

        if (strncmp(word, name, n) != 0)
            continue;
        if (word[n] == '=')
            return word + n + 1;
        if (!word[n])
            return "";
    }
    return NULL;
}

bool cmdline_size(const char *value, uint64_t *bytes)
{
    static const char units[] = "kmg";
    uint64_t v = 0;
    const char *p = value, *unit;

    for (; p && *p >= '0' && *p <= '9'; p++) {
        if (v > UINT64_MAX / 20)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (!p || p == value)
        return false;
    if (*p) {
        unit = strchr(units, *p | 0x20);
        if (!unit || p[1] || v >> 33)
            return false;
        v <<= 10 * (unit - units + 1);
    }
    *bytes = v;
    return true;
}
