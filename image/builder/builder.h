/*
 * builder.h - the types that the image builder's files share.
 *
 * The builder is a short-lived program of the build machine: it reads Tonel
 * text, compiles it to Sista V1 and writes one Spur image. It never frees.
 * Order of work: tonel.c (text to classes and methods), parse.c and literal.c
 * (source to tree), scope.c (names to variables), gen.c (tree to bytecodes),
 * values.c, layout.c and system.c (everything to objects), heapfile.c (the
 * objects to a file).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* --- memory, names, messages (util.c) --- */

void *xalloc(size_t size); /* zeroed, never NULL */
char *read_file(const char *path, size_t *size); /* NULL: unreadable */
/* The one copy of a string: interned names compare by pointer. */
const char *intern_n(const char *p, size_t n);
const char *intern(const char *s);
char *format_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Reads one UTF-8 character and moves *p past it. Bad bytes stand for
 * themselves. */
uint32_t utf8_next(const char **p, const char *end);

/* A growing array of T; the struct is declared where it is used. */
#define VEC(T) struct { T *at; size_t n, cap; }
#define vec_push(v, x)                                                        \
    (vec_grow((void **)&(v)->at, &(v)->cap, (v)->n, sizeof *(v)->at),         \
     (v)->at[(v)->n++] = (x))
void vec_grow(void **at, size_t *cap, size_t n, size_t size);

extern unsigned error_count;
void report(const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- literals (literal.c) --- */

struct big { /* magnitude, little-endian, no leading zero word */
    uint32_t *w;
    size_t n;
    bool negative;
};

enum lit_kind {
    L_NIL, L_TRUE, L_FALSE, L_INT, L_FLOAT, L_CHAR, L_STRING, L_SYMBOL,
    L_ARRAY, L_BYTES, L_SCALED, L_FRACTION, L_BINDING, L_CODE,
};

struct lit {
    enum lit_kind kind;
    struct big num, den; /* INT; FRACTION and SCALED: num / den */
    unsigned scale;
    double real;
    uint32_t code_point;
    const char *text; /* STRING, SYMBOL: UTF-8 */
    size_t size;      /* of text */
    VEC(struct lit *) items; /* ARRAY; BYTES: of INT */
    struct binding *binding;
    struct code *code;
};

struct lit *lit_new(enum lit_kind kind);
struct lit *lit_int(int64_t value);
struct lit *lit_symbol(const char *name);
bool lit_small(const struct lit *l, int64_t *value); /* INT in 60 bits? */
bool lit_equal(const struct lit *a, const struct lit *b); /* may be shared */
/* Reads a number at *p (no sign). NULL and *why on bad syntax. */
struct lit *number_read(const char **p, bool negative, const char **why);

/* --- classes and methods (tonel.c) --- */

/* Something with a value in slot 1: a global, a class variable, or the
 * key-less binding of a metaclass. */
struct binding {
    const char *key; /* NULL: a metaclass's */
    struct klass *cls;
    bool meta;
    uint64_t value; /* an oop, when not a class; 0: nil */
    uint64_t oop;
    unsigned uses;
    const char *first_use;
};

typedef VEC(const char *) name_list;

struct klass {
    const char *name, *super_name, *package, *comment, *type, *file;
    struct klass *super;
    name_list inst_vars, class_inst_vars, class_vars, pools;
    VEC(struct binding *) class_bindings;
    VEC(struct method *) methods;
    struct binding *binding, *meta_binding;
    VEC(struct klass *) subclasses;
    bool cold, defined; /* defined: has a Class form, not only extensions */
    unsigned line, index, meta_index; /* in the class table */
    uint32_t format;
    uint64_t oop, meta_oop;
};

struct method {
    struct klass *cls;
    bool meta;
    const char *selector, *source, *protocol, *package, *file;
    size_t source_size;
    unsigned line;
    struct code *code;
};

struct package {
    const char *name;
    bool cold;
    VEC(struct klass *) classes;
};

struct world {
    VEC(struct package *) packages;
    VEC(struct klass *) classes;   /* in load order, cold ones only */
    VEC(struct method *) methods;  /* in load order */
    VEC(struct binding *) globals; /* in order of appearance */
    bool lenient; /* undeclared capitalised names are only counted */
};
extern struct world world;

struct klass *find_class(const char *name); /* NULL: none */
struct binding *find_global(const char *name, bool create);
void read_package(const char *root, const char *name, bool cold);
void link_classes(void); /* superclasses, class variables, formats */
int inst_var_index(const struct klass *c, bool meta, const char *name);
/* Instance variables of c or its metaclass, inherited ones included. */
size_t inst_var_count(const struct klass *c, bool meta);
struct binding *find_class_var(const struct klass *c, const char *name);
bool inherits_from(const struct klass *c, const char *name);

/* --- trees (parse.c) --- */

enum node_kind {
    N_LIT, N_VAR, N_ASSIGN, N_SEND, N_CASCADE, N_BLOCK, N_RETURN, N_BRACE,
};

/* How a send is compiled; names follow the first selector part. */
enum inlining {
    IN_NONE, IN_IF, IN_AND_OR, IN_WHILE, IN_REPEAT, IN_TO_DO, IN_IF_NIL,
};

typedef VEC(struct node *) node_list;
typedef VEC(struct var *) var_list;

struct node {
    enum node_kind kind;
    uint32_t start, end; /* offsets in the method's source */
    struct lit *lit;
    const char *name;   /* VAR, ASSIGN: the variable; SEND: the selector */
    struct var *var;    /* NULL: not a local */
    struct binding *binding;
    int inst_var;       /* -1: none */
    struct node *value; /* ASSIGN, RETURN; SEND, CASCADE: the receiver */
    node_list kids;     /* SEND: args; CASCADE: sends; BLOCK: statements */
    enum inlining inlining;
    name_list params, temps; /* BLOCK */
    struct scope *scope;     /* BLOCK */
    struct var *limit;       /* IN_TO_DO: the hidden limit, or NULL */
};

struct pragma {
    const char *selector;
    VEC(struct lit *) args;
};

struct tree { /* a parsed method */
    struct method *method;
    const char *selector;
    struct node *body; /* a BLOCK: params, temps, statements */
    VEC(struct pragma *) pragmas;
    unsigned primitive;
    struct lit *prim_spec;   /* 117's first literal, or NULL */
    const char *error_name;  /* variable for the primitive's error code */
    struct func *func;       /* set by scope.c */
};

struct tree *parse_method(struct method *m);
/* Leaves the current method's compilation with a message. */
_Noreturn void fail_at(const struct method *m, size_t offset,
                       const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- scopes (scope.c) --- */

enum var_kind { V_ARG, V_TEMP, V_VECTOR, V_HIDDEN, V_ERROR };

struct var {
    const char *name;
    enum var_kind kind;
    struct scope *scope;
    bool captured, written_inside, remote;
    uint32_t first_capture, last_write;
    unsigned slot; /* temp index, or index in the vector when remote */
};

struct scope { /* one lexical block, real or inlined */
    struct scope *outer;
    struct func *func;
    var_list vars;
    struct var *vector;  /* holds the remote variables, or NULL */
    bool is_loop;
    bool in_loop;        /* entered several times in one activation */
    uint32_t loop_start;
};

struct func { /* a method or a real block */
    struct func *outer;
    struct scope *scope; /* the outermost */
    VEC(struct scope *) scopes;
    var_list copied;
    struct var *error;
    unsigned num_args, num_temps;
    uint32_t start;
};

void resolve_names(struct tree *t);
/* Where func f finds v: a slot of its own frame (args, copied, temps). */
unsigned var_slot(const struct func *f, const struct var *v);

/* --- code (gen.c) --- */

struct code {
    struct code *outer; /* NULL: a method */
    struct method *method;
    VEC(uint8_t) bytes;
    VEC(struct lit *) lits;
    unsigned num_args, num_temps, max_depth, primitive;
    struct tree *tree;
    uint64_t oop;
};

struct code *compile(struct method *m); /* NULL after reporting */

/* --- objects (heapfile.c) --- */

typedef uint64_t oop_t;
extern oop_t oop_nil, oop_false, oop_true;

/* Pointer formats are filled with nil (when there is one), others with 0. */
oop_t obj_new(unsigned class_index, unsigned format, size_t slots);
oop_t obj_bytes(unsigned class_index, unsigned format, const void *data,
                size_t size); /* format 16 or 24 */
uint64_t *obj_slots(oop_t o);
void obj_set_hash(oop_t o, uint32_t hash);
uint32_t obj_hash(oop_t o);
void obj_give_hash(oop_t o); /* the next one of the VM's own sequence */
static inline oop_t int_oop(int64_t v) { return (uint64_t)v << 3 | 1; }
static inline oop_t char_oop(uint32_t c) { return (uint64_t)c << 3 | 2; }
int heap_write(const char *path, oop_t specials); /* 0, or -1 and errno */

/* --- the image (values.c, layout.c, system.c) --- */

struct klass *need_class(const char *name); /* exits if there is none */
oop_t oop_of_symbol(const char *name);
oop_t oop_of_string(const char *text, size_t size); /* UTF-8 */
oop_t oop_of_binding(struct binding *b);
oop_t oop_of_code(struct code *c);
oop_t oop_array(const oop_t *items, size_t n);
oop_t all_symbols(void); /* an Array, itself not counting */
/* Sets the named variable of an instance; a class without it is passed. */
void set_field(oop_t o, struct klass *c, const char *name, oop_t value);
oop_t new_instance(struct klass *c, size_t indexed);

void layout_classes(void); /* nil, true, false, class table, classes */
void layout_methods(void); /* code and method dictionaries */
oop_t layout_system(void); /* Smalltalk, processes; the special objects */
