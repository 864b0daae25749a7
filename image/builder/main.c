/*
 * main.c - the builder's command line.
 *
 *   imagebuilder SRC IMAGE [DIR...] build the packages of SRC/../load.order,
 *                                   then those of each DIR (generated ones)
 *   imagebuilder --check DIR...     compile everything below each DIR, report
 *                                   all errors and selectors that nobody has
 */
#include "builder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const system_globals[] = {
    "Smalltalk", "Processor", "Transcript", "Display", "Sensor", "World",
};

static void declare_system_globals(void)
{
    size_t n = sizeof system_globals / sizeof *system_globals;

    for (size_t i = 0; i < n; i++)
        find_global(intern(system_globals[i]), true);
}

static void read_order(const char *src)
{
    char *path = format_text("%s/../load.order", src), how[16], name[200];
    FILE *f = fopen(path, "r");
    unsigned number = 0;
    char line[300];

    if (!f) {
        report(path, 1, "cannot be read");
        return;
    }
    while (fgets(line, sizeof line, f)) {
        number++;
        line[strcspn(line, "#\n")] = 0;
        if (sscanf(line, "%15s %199s", how, name) < 2)
            continue;
        if (strcmp(how, "cold") && strcmp(how, "warm"))
            report(path, number, "cold or warm is expected");
        else
            read_package(src, name, !strcmp(how, "cold"));
    }
    fclose(f);
}

static bool is_read(const char *name)
{
    for (size_t i = 0; i < world.packages.n; i++)
        if (world.packages.at[i]->name == name)
            return true;
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What was not read yet, cold, by name: when building, what load.order does
 * not say. */
static void read_all_packages(const char *root)
{
    DIR *d = opendir(root);
    name_list names = { 0 };

    if (!d) {
        report(root, 1, "cannot be read");
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;

        if (*e->d_name != '.' &&
            !stat(format_text("%s/%s", root, e->d_name), &st) &&
            S_ISDIR(st.st_mode))
            vec_push(&names, intern(e->d_name));
    }
    closedir(d);
    if (names.n)
        qsort(names.at, names.n, sizeof *names.at, compare_names);
    for (size_t i = 0; i < names.n; i++)
        if (!is_read(names.at[i]))
            read_package(root, names.at[i], true);
}

/* The dictionary would hold both, and the machine find any of them. */
static void report_twice(const struct klass *c)
{
    for (size_t i = 0; i < c->methods.n; i++) {
        const struct method *m = c->methods.at[i];

        for (size_t k = 0; k < i; k++)
            if (m->selector && c->methods.at[k]->selector == m->selector &&
                c->methods.at[k]->meta == m->meta)
                report(m->file, m->line, "%s%s>>%s: also in %s:%u", c->name,
                       m->meta ? " class" : "", m->selector,
                       c->methods.at[k]->file, c->methods.at[k]->line);
    }
}

static unsigned compile_all(void)
{
    unsigned done = 0;

    for (size_t i = 0; i < world.methods.n; i++)
        if (world.methods.at[i]->cls->binding || world.lenient)
            done += compile(world.methods.at[i]) != NULL;
    for (size_t i = 0; i < world.classes.n; i++)
        report_twice(world.classes.at[i]);
    return done;
}

/* --- checking --- */

static bool implemented(const char *selector)
{
    for (size_t i = 0; i < world.methods.n; i++)
        if (world.methods.at[i]->selector == selector)
            return true;
    return false;
}

static void report_sends(const struct code *c, name_list *told)
{
    for (size_t i = 0; i < c->lits.n; i++) {
        const struct lit *l = c->lits.at[i];
        const char *name;

        if (l->kind == L_CODE)
            report_sends(l->code, told);
        if (l->kind != L_SYMBOL || !strchr(l->text, ':') ||
            l->text[strlen(l->text) - 1] != ':')
            continue;
        name = intern(l->text);
        if (implemented(name))
            continue;
        for (size_t j = 0; j < told->n; j++)
            if (told->at[j] == name)
                name = NULL;
        if (!name)
            continue;
        vec_push(told, name);
        printf("%s:%u: nobody implements #%s\n", c->method->file,
               c->method->line, name);
    }
}

static int check(int count, char **roots)
{
    name_list told = { 0 };
    unsigned done;

    world.lenient = true;
    declare_system_globals();
    for (int i = count; i-- > 0;) /* a later root's package wins */
        read_all_packages(roots[i]);
    link_classes();
    done = compile_all();
    for (size_t i = 0; i < world.globals.n; i++)
        if (world.globals.at[i]->first_use)
            printf("%s: undeclared %s (%u uses)\n",
                   world.globals.at[i]->first_use, world.globals.at[i]->key,
                   world.globals.at[i]->uses);
    for (size_t i = 0; i < world.methods.n; i++)
        if (world.methods.at[i]->code)
            report_sends(world.methods.at[i]->code, &told);
    printf("%u methods compiled, %u errors\n", done, error_count);
    return error_count != 0;
}

static int build(const char *src, const char *path, int count, char **more)
{
    oop_t specials;

    declare_system_globals();
    read_order(src);
    read_all_packages(src);
    for (int i = 0; i < count; i++)
        read_all_packages(more[i]);
    link_classes();
    compile_all();
    if (error_count)
        return 1;
    layout_classes();
    specials = layout_system();
    if (error_count)
        return 1;
    if (heap_write(path, specials) < 0) {
        fprintf(stderr, "imagebuilder: %s: %s\n", path, strerror(errno));
        return 1;
    }
    printf("%zu classes, %zu methods\n", world.classes.n, world.methods.n);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && !strcmp(argv[1], "--check"))
        return check(argc - 2, argv + 2);
    if (argc >= 3 && argv[1][0] != '-')
        return build(argv[1], argv[2], argc - 3, argv + 3);
    fputs("usage: imagebuilder SRC IMAGE [DIR...] | "
          "imagebuilder --check DIR...\n",
          stderr);
    return 2;
}
