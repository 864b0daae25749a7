/*
 * system.c - what starts the image: Smalltalk, the first process, the
 * special objects, and the lists that SystemDictionary>>coldStart turns into
 * its own tables (README.md says which).
 */
#include "builder.h"

#include <stdlib.h>
#include <string.h>

enum { PRIORITIES = 80, START_PRIORITY = 40, SPECIAL_SLOTS = 60,
       EXTERNAL_SLOTS = 64, CONTEXT_SMALL = 22, CONTEXT_LARGE = 62 };

static oop_t array_of_classes(struct klass *const *classes, size_t n)
{
    oop_t *items = xalloc(n * sizeof *items);

    for (size_t i = 0; i < n; i++)
        items[i] = classes[i]->oop;
    return oop_array(items, n);
}

/* --- the first process --- */

static struct method *start_method(void)
{
    struct klass *c = need_class("SystemDictionary");

    for (size_t i = 0; i < c->methods.n; i++)
        if (!c->methods.at[i]->meta &&
            !strcmp(c->methods.at[i]->selector, "coldStart"))
            return c->methods.at[i];
    fputs("imagebuilder: no SystemDictionary>>coldStart\n", stderr);
    exit(1);
}

static oop_t first_context(oop_t receiver)
{
    struct code *code = start_method()->code;
    oop_t method = oop_of_code(code), o;
    uint64_t header = obj_slots(method)[0] >> 3;
    bool large = header >> 17 & 1;
    unsigned literals = header & 0x7fff;

    o = obj_new(36, 3, large ? CONTEXT_LARGE : CONTEXT_SMALL);
    obj_slots(o)[1] = int_oop(8 * (literals + 1) + 1);
    obj_slots(o)[2] = int_oop(code->num_temps);
    obj_slots(o)[3] = method;
    obj_slots(o)[5] = receiver;
    return o;
}

static oop_t make_scheduler(oop_t smalltalk)
{
    struct klass *c = need_class("ProcessorScheduler");
    struct klass *process = need_class("Process");
    struct klass *list = need_class("LinkedList");
    oop_t o = new_instance(c, 0), lists = obj_new(51, 2, PRIORITIES);
    oop_t active = new_instance(process, 0);

    for (size_t i = 0; i < PRIORITIES; i++) {
        oop_t l = new_instance(list, 0);

        obj_slots(lists)[i] = l;
    }
    obj_slots(active)[1] = first_context(smalltalk);
    obj_slots(active)[2] = int_oop(START_PRIORITY);
    obj_slots(o)[0] = lists;
    obj_slots(o)[1] = active;
    return o;
}

/* --- special objects --- */

static const struct { const char *name; unsigned args; } special_sends[] = {
    { "+", 1 }, { "-", 1 }, { "<", 1 }, { ">", 1 }, { "<=", 1 }, { ">=", 1 },
    { "=", 1 }, { "~=", 1 }, { "*", 1 }, { "/", 1 }, { "\\\\", 1 },
    { "@", 1 }, { "bitShift:", 1 }, { "//", 1 }, { "bitAnd:", 1 },
    { "bitOr:", 1 }, { "at:", 1 }, { "at:put:", 2 }, { "size", 0 },
    { "next", 0 }, { "nextPut:", 1 }, { "atEnd", 0 }, { "==", 1 },
    { "class", 0 }, { "~~", 1 }, { "value", 0 }, { "value:", 1 },
    { "do:", 1 }, { "new", 0 }, { "new:", 1 }, { "x", 0 }, { "y", 0 },
};

static oop_t special_selectors(void)
{
    oop_t o = obj_new(51, 2, 64);

    for (size_t i = 0; i < 32; i++) {
        oop_t selector = oop_of_symbol(special_sends[i].name);

        obj_slots(o)[2 * i] = selector;
        obj_slots(o)[2 * i + 1] = int_oop(special_sends[i].args);
    }
    return o;
}

static const struct { unsigned code; const char *text; } errors[] = {
#define PRIM_ERROR(code, NAME, text) { code, text },
#include "../../vm/errors.def"
#undef PRIM_ERROR
};

enum { ERROR_OS = 21 };

/* Element 21 is a prototype: the VM clones it and sets its second slot. */
static oop_t error_element(unsigned code, const char *text)
{
    struct klass *c = find_class(intern("PrimitiveError"));
    oop_t o;

    if (!*text)
        return oop_nil;
    if (code != ERROR_OS || !c || !c->cold)
        return oop_of_symbol(text);
    o = new_instance(c, 0);
    obj_slots(o)[0] = oop_of_symbol(text);
    return o;
}

static oop_t error_table(void)
{
    size_t n = sizeof errors / sizeof *errors;
    oop_t *items = xalloc(n * sizeof *items);

    for (size_t i = 0; i < n; i++)
        items[errors[i].code - 1] = error_element(errors[i].code,
                                                  errors[i].text);
    return oop_array(items, n);
}

enum special {
#define SPECIAL(index, NAME) SPL_##NAME = index,
#include "../../vm/special_objects.def"
#undef SPECIAL
};

static const struct { enum special slot; const char *name; } classes[] = {
    { SPL_CLASS_BITMAP, "Bitmap" }, { SPL_CLASS_SMALL_INTEGER, "SmallInteger" },
    { SPL_CLASS_BYTE_STRING, "ByteString" }, { SPL_CLASS_ARRAY, "Array" },
    { SPL_CLASS_FLOAT, "BoxedFloat64" }, { SPL_CLASS_CONTEXT, "Context" },
    { SPL_CLASS_POINT, "Point" },
    { SPL_CLASS_LARGE_POSITIVE, "LargePositiveInteger" },
    { SPL_CLASS_MESSAGE, "Message" },
    { SPL_CLASS_COMPILED_METHOD, "CompiledMethod" },
    { SPL_CLASS_SEMAPHORE, "Semaphore" }, { SPL_CLASS_CHARACTER, "Character" },
    { SPL_CLASS_BYTE_ARRAY, "ByteArray" }, { SPL_CLASS_PROCESS, "Process" },
    { SPL_CLASS_DOUBLE_BYTE_ARRAY, "DoubleByteArray" },
    { SPL_CLASS_WORD_ARRAY, "WordArray" },
    { SPL_CLASS_DOUBLE_WORD_ARRAY, "DoubleWordArray" },
    { SPL_CLASS_BLOCK_CLOSURE, "BlockClosure" },
    { SPL_CLASS_FULL_BLOCK_CLOSURE, "FullBlockClosure" },
    { SPL_CLASS_MUTEX, "Mutex" },
    { SPL_CLASS_LARGE_NEGATIVE, "LargeNegativeInteger" },
};

static const struct { enum special slot; const char *name; } selectors[] = {
    { SPL_SEL_DOES_NOT_UNDERSTAND, "doesNotUnderstand:" },
    { SPL_SEL_CANNOT_RETURN, "cannotReturn:" },
    { SPL_SEL_MUST_BE_BOOLEAN, "mustBeBoolean" },
    { SPL_SEL_CANNOT_INTERPRET, "cannotInterpret:" },
    { SPL_SEL_ABOUT_TO_RETURN, "aboutToReturn:through:" },
    { SPL_SEL_RUN_WITH_IN, "run:with:in:" },
    { SPL_SEL_ATTEMPT_TO_ASSIGN, "attemptToAssign:withIndex:" },
    { SPL_SEL_UNUSED_BYTECODE, "unusedBytecode" },
};

static void put(oop_t array, unsigned index, oop_t value)
{
    obj_slots(array)[index] = value;
}

static oop_t special_objects(oop_t smalltalk, struct binding *processor)
{
    oop_t o = obj_new(51, 2, SPECIAL_SLOTS);

    put(o, SPL_NIL, oop_nil);
    put(o, SPL_FALSE, oop_false);
    put(o, SPL_TRUE, oop_true);
    put(o, SPL_SCHEDULER_ASSOCIATION, oop_of_binding(processor));
    put(o, SPL_SMALLTALK, smalltalk);
    put(o, SPL_SPECIAL_SELECTORS, special_selectors());
    put(o, SPL_EXTERNAL_OBJECTS, obj_new(51, 2, EXTERNAL_SLOTS));
    put(o, SPL_PRIMITIVE_ERRORS, error_table());
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        struct klass *c = find_class(intern(classes[i].name));

        if (c && c->cold)
            put(o, classes[i].slot, c->oop);
    }
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++)
        put(o, selectors[i].slot, oop_of_symbol(selectors[i].name));
    return o;
}

/* --- what coldStart reads --- */

static bool initializes(const struct klass *c)
{
    for (size_t i = 0; i < c->methods.n; i++)
        if (c->methods.at[i]->meta &&
            !strcmp(c->methods.at[i]->selector, "initialize"))
            return true;
    return false;
}

static oop_t initialize_list(void)
{
    VEC(struct klass *) list = { 0 };

    for (size_t i = 0; i < world.classes.n; i++)
        if (initializes(world.classes.at[i]))
            vec_push(&list, world.classes.at[i]);
    return array_of_classes(list.at, list.n);
}

static oop_t package_list(void)
{
    size_t n = world.packages.n, used = 0;
    oop_t *items = xalloc(n * sizeof *items);

    for (size_t i = 0; i < n; i++) {
        struct package *p = world.packages.at[i];
        oop_t pair[2];

        if (!p->cold)
            continue;
        pair[0] = oop_of_symbol(p->name);
        pair[1] = array_of_classes(p->classes.at, p->classes.n);
        items[used++] = oop_array(pair, 2);
    }
    return oop_array(items, used);
}

static oop_t globals_list(void)
{
    oop_t *items = xalloc(world.globals.n * sizeof *items);

    for (size_t i = 0; i < world.globals.n; i++)
        items[i] = oop_of_binding(world.globals.at[i]);
    return oop_array(items, world.globals.n);
}

static oop_t cold_data(void)
{
    oop_t items[5];

    items[1] = globals_list();
    items[2] = array_of_classes(world.classes.at, world.classes.n);
    items[3] = initialize_list();
    items[4] = package_list();
    items[0] = all_symbols();
    return oop_array(items, 5);
}

oop_t layout_system(void)
{
    struct klass *k = need_class("SystemDictionary");
    struct klass *class = need_class("Class");
    struct binding *smalltalk = find_global(intern("Smalltalk"), true);
    struct binding *processor = find_global(intern("Processor"), true);
    oop_t specials, o = new_instance(k, 0);

    if (inst_var_index(k, false, intern("coldData")) < 0) {
        report(k->file, k->line, "SystemDictionary: no variable coldData");
        return 0;
    }
    obj_slots(oop_of_binding(smalltalk))[1] = o;
    layout_methods();
    for (size_t i = 0; i < world.classes.n; i++)
        set_field(world.classes.at[i]->oop, class, "environment", o);
    specials = make_scheduler(o);
    obj_slots(oop_of_binding(processor))[1] = specials;
    specials = special_objects(o, processor);
    set_field(o, k, "coldData", cold_data());
    return specials;
}
