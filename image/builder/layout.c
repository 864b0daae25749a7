/*
 * layout.c - nil, the class table, the classes and their methods.
 */
#include "builder.h"

#include <string.h>

enum { FIRST_FREE_INDEX = 1024, PAGE_SLOTS = 1024, ROOT_SLOTS = 4104 };

static const struct { const char *name; unsigned index; } fixed[] = {
    { "SmallInteger", 1 }, { "Character", 2 }, { "SmallFloat64", 4 },
    { "LargeNegativeInteger", 32 }, { "LargePositiveInteger", 33 },
    { "BoxedFloat64", 34 }, { "Message", 35 }, { "Context", 36 },
    { "BlockClosure", 37 }, { "FullBlockClosure", 38 }, { "Semaphore", 48 },
    { "ByteArray", 50 }, { "Array", 51 }, { "ByteString", 52 },
    { "Bitmap", 53 }, { "Point", 54 },
};

static oop_t roots;

static unsigned assign_indices(void)
{
    unsigned next = FIRST_FREE_INDEX;

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        need_class(fixed[i].name)->index = fixed[i].index;
    for (size_t i = 0; i < world.classes.n; i++) {
        struct klass *c = world.classes.at[i];

        if (!c->index)
            c->index = next++;
        c->meta_index = next++;
    }
    return next;
}

/* The first five objects of a Spur heap, in their fixed order. */
static void make_first_objects(void)
{
    oop_nil = obj_new(need_class("UndefinedObject")->index, 0, 0);
    oop_false = obj_new(need_class("False")->index, 0, 0);
    oop_true = obj_new(need_class("True")->index, 0, 0);
    obj_new(19, 9, 64); /* free lists */
    roots = obj_new(16, 2, ROOT_SLOTS);
}

static void make_class_pages(unsigned classes)
{
    for (unsigned i = 0; i <= classes / PAGE_SLOTS; i++) {
        oop_t page = obj_new(16, 2, PAGE_SLOTS);

        obj_slots(roots)[i] = page;
    }
}

static void enter_in_table(unsigned index, oop_t class)
{
    obj_slots(obj_slots(roots)[index / PAGE_SLOTS])[index % PAGE_SLOTS] =
        class;
}

static void make_class(struct klass *c)
{
    struct klass *meta = need_class("Metaclass");

    c->meta_oop = new_instance(meta, 0);
    obj_set_hash(c->meta_oop, c->meta_index);
    enter_in_table(c->meta_index, c->meta_oop);
    c->oop = obj_new(c->meta_index, 1, inst_var_count(c, true));
    obj_set_hash(c->oop, c->index);
    enter_in_table(c->index, c->oop);
}

static oop_t names_array(const name_list *names)
{
    oop_t *items = xalloc(names->n * sizeof *items);

    for (size_t i = 0; i < names->n; i++)
        items[i] = oop_of_string(names->at[i], strlen(names->at[i]));
    return oop_array(items, names->n);
}

static oop_t subclasses_array(const struct klass *c)
{
    oop_t *items = xalloc(c->subclasses.n * sizeof *items);
    size_t n = 0;

    for (size_t i = 0; i < c->subclasses.n; i++)
        if (c->subclasses.at[i]->cold)
            items[n++] = c->subclasses.at[i]->oop;
    return oop_array(items, n);
}

static oop_t class_vars_array(const struct klass *c)
{
    oop_t *items = xalloc(c->class_bindings.n * sizeof *items);

    for (size_t i = 0; i < c->class_bindings.n; i++)
        items[i] = oop_of_binding(c->class_bindings.at[i]);
    return oop_array(items, c->class_bindings.n);
}

static oop_t pools_array(const struct klass *c)
{
    oop_t *items = xalloc(c->pools.n * sizeof *items);

    for (size_t i = 0; i < c->pools.n; i++)
        items[i] = need_class(c->pools.at[i])->oop;
    return oop_array(items, c->pools.n);
}

static void fill_class(struct klass *c)
{
    struct klass *class = need_class("Class"), *meta = need_class("Metaclass");
    struct klass *root = class;
    int64_t meta_fields = (int64_t)inst_var_count(c, true);

    obj_slots(c->oop)[0] = c->super ? c->super->oop : oop_nil;
    obj_slots(c->oop)[2] = int_oop(c->format);
    set_field(c->oop, class, "instanceVariables", names_array(&c->inst_vars));
    set_field(c->oop, class, "subclasses", subclasses_array(c));
    set_field(c->oop, class, "name", oop_of_symbol(c->name));
    if (c->class_bindings.n)
        set_field(c->oop, class, "classPool", class_vars_array(c));
    if (c->pools.n)
        set_field(c->oop, class, "sharedPools", pools_array(c));
    set_field(c->oop, class, "category", oop_of_symbol(c->package));
    set_field(c->oop, class, "comment",
              oop_of_string(c->comment, strlen(c->comment)));
    obj_slots(c->meta_oop)[0] = c->super ? c->super->meta_oop : root->oop;
    obj_slots(c->meta_oop)[2] = int_oop(1 << 16 | meta_fields);
    set_field(c->meta_oop, meta, "instanceVariables",
              names_array(&c->class_inst_vars));
    set_field(c->meta_oop, meta, "thisClass", c->oop);
}

/* A class must not be asked for by the VM under a number that the image
 * gives to another: tags 3 and the Array of hidden objects stand twice. */
static void enter_puns(void)
{
    enter_in_table(3, need_class("SmallInteger")->oop);
    enter_in_table(16, need_class("Array")->oop);
}

void layout_classes(void)
{
    unsigned classes = assign_indices();

    make_first_objects();
    make_class_pages(classes);
    for (size_t i = 0; i < world.classes.n; i++)
        make_class(world.classes.at[i]);
    for (size_t i = 0; i < world.classes.n; i++)
        fill_class(world.classes.at[i]);
    enter_puns();
}

/* --- methods --- */

static void dictionary_put(oop_t dict, oop_t selector, oop_t method,
                           size_t capacity)
{
    size_t i = obj_hash(selector) & (capacity - 1);
    uint64_t *s = obj_slots(dict);

    while (s[2 + i] != oop_nil)
        i = (i + 1) & (capacity - 1);
    s[2 + i] = selector;
    obj_slots(s[1])[i] = method;
}

static oop_t method_dictionary(struct klass *c, bool meta)
{
    struct klass *k = need_class("MethodDictionary");
    size_t n = 0, capacity = 4;
    oop_t dict, values;

    for (size_t i = 0; i < c->methods.n; i++)
        n += c->methods.at[i]->meta == meta;
    while (capacity * 3 < n * 4)
        capacity *= 2;
    dict = obj_new(k->index, 3, 2 + capacity);
    values = obj_new(51, 2, capacity);
    obj_slots(dict)[0] = int_oop((int64_t)n);
    obj_slots(dict)[1] = values;
    for (size_t i = 0; i < c->methods.n; i++) {
        struct method *m = c->methods.at[i];

        if (m->meta == meta) {
            oop_t method = oop_of_code(m->code);

            dictionary_put(dict, oop_of_symbol(m->selector), method,
                           capacity);
        }
    }
    return dict;
}

void layout_methods(void)
{
    for (size_t i = 0; i < world.classes.n; i++) {
        struct klass *c = world.classes.at[i];
        oop_t dict = method_dictionary(c, false);

        obj_slots(c->oop)[1] = dict;
        dict = method_dictionary(c, true);
        obj_slots(c->meta_oop)[1] = dict;
    }
}
