/*
 * parse.c - the source of one method to a tree.
 *
 * Owns the scanner and the grammar. Knows nothing of variables' meaning
 * (scope.c) nor of bytecodes.
 */
#include "builder.h"

#include <ctype.h>
#include <string.h>

enum token_kind {
    T_END, T_NAME, T_KEYWORD, T_BINARY, T_LITERAL, T_ASSIGN, T_HASH_PAREN,
    T_HASH_BRACKET, T_CHAR, /* T_CHAR: punctuation, in .punct */
};

struct token {
    enum token_kind kind;
    uint32_t start, end;
    const char *text; /* NAME, KEYWORD, BINARY */
    struct lit *lit;  /* LITERAL */
    char punct;
};

struct parser {
    struct tree *tree;
    struct method *method;
    const char *src;
    uint32_t pos, last_end;
    struct token tok;
};

#define fail(p, at, ...) fail_at((p)->method, at, __VA_ARGS__)

/* --- scanner --- */

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name_char(char c)
{
    return is_letter(c) || isdigit((unsigned char)c);
}

static bool is_binary_char(char c)
{
    return c && strchr("+-*/\\~<>=@%|&?!,", c);
}

static void skip_blanks(struct parser *p)
{
    for (;;) {
        char c = p->src[p->pos];

        if (c == '"') {
            const char *e = strchr(p->src + p->pos + 1, '"');

            if (!e)
                fail(p, p->pos, "unmatched comment quote");
            p->pos = (uint32_t)(e - p->src) + 1;
        } else if (c && isspace((unsigned char)c)) {
            p->pos++;
        } else {
            return;
        }
    }
}

static struct lit *scan_string(struct parser *p, enum lit_kind kind)
{
    struct lit *l = lit_new(kind);
    uint32_t start = p->pos++;
    char *text = xalloc(strlen(p->src + start));

    while (p->src[p->pos] != '\'' || p->src[p->pos + 1] == '\'') {
        if (!p->src[p->pos])
            fail(p, start, "unmatched string quote");
        p->pos += p->src[p->pos] == '\'';
        text[l->size++] = p->src[p->pos++];
    }
    p->pos++;
    l->text = intern_n(text, l->size);
    return l;
}

static void scan_number(struct parser *p, bool negative)
{
    const char *q = p->src + p->pos, *why;

    p->tok.lit = number_read(&q, negative, &why);
    if (!p->tok.lit)
        fail(p, p->pos, "%s", why);
    p->pos = (uint32_t)(q - p->src);
    p->tok.kind = T_LITERAL;
}

static uint32_t name_end(const struct parser *p, uint32_t at)
{
    while (is_name_char(p->src[at]))
        at++;
    return at;
}

static bool colon_follows(const struct parser *p, uint32_t at)
{
    return p->src[at] == ':' && p->src[at + 1] != '=';
}

/* foo, foo:, foo:bar: behind a hash or in a literal array. */
static struct lit *scan_symbol_name(struct parser *p)
{
    uint32_t start = p->pos;

    p->pos = name_end(p, p->pos);
    while (colon_follows(p, p->pos)) {
        p->pos++;
        if (is_letter(p->src[p->pos]) &&
            colon_follows(p, name_end(p, p->pos)))
            p->pos = name_end(p, p->pos);
    }
    return lit_symbol(intern_n(p->src + start, p->pos - start));
}

static const char *scan_binary(struct parser *p)
{
    uint32_t start = p->pos++;

    while (is_binary_char(p->src[p->pos]) &&
           !(p->src[p->pos] == '-' &&
             isdigit((unsigned char)p->src[p->pos + 1])))
        p->pos++;
    return intern_n(p->src + start, p->pos - start);
}

static void scan_hash(struct parser *p)
{
    struct token *t = &p->tok;
    char c;

    do /* ## is #, as some dialects write */
        c = p->src[++p->pos];
    while (c == '#');
    t->kind = T_LITERAL;
    if (c == '(' || c == '[') {
        t->kind = c == '(' ? T_HASH_PAREN : T_HASH_BRACKET;
        p->pos++;
    } else if (c == '\'') {
        t->lit = scan_string(p, L_SYMBOL);
    } else if (is_letter(c)) {
        t->lit = scan_symbol_name(p);
    } else if (is_binary_char(c)) {
        t->lit = lit_symbol(scan_binary(p));
    } else {
        fail(p, p->pos, "a literal is expected after #");
    }
}

static void scan_word(struct parser *p)
{
    struct token *t = &p->tok;

    p->pos = name_end(p, p->pos);
    t->kind = T_NAME;
    if (colon_follows(p, p->pos)) {
        t->kind = T_KEYWORD;
        p->pos++;
    }
    t->text = intern_n(p->src + t->start, p->pos - t->start);
}

static void next(struct parser *p)
{
    struct token *t = &p->tok;
    char c;

    p->last_end = t->end;
    skip_blanks(p);
    *t = (struct token){ .start = p->pos };
    c = p->src[p->pos];
    if (!c) {
        t->kind = T_END;
    } else if (is_letter(c)) {
        scan_word(p);
    } else if (isdigit((unsigned char)c)) {
        scan_number(p, false);
    } else if (c == '\'') {
        t->kind = T_LITERAL;
        t->lit = scan_string(p, L_STRING);
    } else if (c == '$') {
        const char *q = p->src + p->pos + 1;

        if (!*q)
            fail(p, p->pos, "a character is expected after $");
        t->kind = T_LITERAL;
        t->lit = lit_new(L_CHAR);
        t->lit->code_point = utf8_next(&q, p->src + strlen(p->src));
        p->pos = (uint32_t)(q - p->src);
    } else if (c == '#') {
        scan_hash(p);
    } else if (c == ':' && p->src[p->pos + 1] == '=') {
        t->kind = T_ASSIGN;
        p->pos += 2;
    } else if (is_binary_char(c)) {
        t->kind = T_BINARY;
        t->text = scan_binary(p);
    } else if (strchr("()[]{}.;^:", c)) {
        t->kind = T_CHAR;
        t->punct = c;
        p->pos++;
    } else {
        fail(p, p->pos, "unexpected character %c", c);
    }
    t->end = p->pos;
}

static bool at_char(const struct parser *p, char c)
{
    return p->tok.kind == T_CHAR && p->tok.punct == c;
}

static bool at_binary(const struct parser *p, const char *text)
{
    return p->tok.kind == T_BINARY && !strcmp(p->tok.text, text);
}

static void expect(struct parser *p, char c)
{
    if (!at_char(p, c))
        fail(p, p->tok.start, "%c expected", c);
    next(p);
}

/* --- literals --- */

/* A - that stands right before a digit where an operand is due. */
static bool at_minus_number(const struct parser *p)
{
    return at_binary(p, "-") && isdigit((unsigned char)p->src[p->pos]);
}

static void join_minus(struct parser *p)
{
    scan_number(p, true);
    p->tok.end = p->pos;
}

static struct lit *parse_byte_array(struct parser *p)
{
    struct lit *l = lit_new(L_BYTES);
    int64_t value;

    for (next(p); !at_char(p, ']'); next(p)) {
        if (p->tok.kind != T_LITERAL || !lit_small(p->tok.lit, &value) ||
            value < 0 || value > 255)
            fail(p, p->tok.start, "a byte 0 to 255 is expected");
        vec_push(&l->items, p->tok.lit);
    }
    next(p);
    return l;
}

static struct lit *parse_literal_array(struct parser *p);

static struct lit *word_literal(const char *text)
{
    if (!strcmp(text, "nil"))
        return lit_new(L_NIL);
    if (!strcmp(text, "true"))
        return lit_new(L_TRUE);
    if (!strcmp(text, "false"))
        return lit_new(L_FALSE);
    return lit_symbol(text);
}

static struct lit *parse_array_item(struct parser *p)
{
    struct lit *l;

    if (at_minus_number(p))
        join_minus(p);
    switch (p->tok.kind) {
    case T_LITERAL:
        l = p->tok.lit;
        break;
    case T_NAME:
        l = word_literal(p->tok.text);
        break;
    case T_KEYWORD:
        p->pos = p->tok.start;
        l = scan_symbol_name(p);
        break;
    case T_BINARY:
        l = lit_symbol(p->tok.text);
        break;
    case T_HASH_PAREN:
        return parse_literal_array(p);
    case T_HASH_BRACKET:
        return parse_byte_array(p);
    case T_CHAR:
        if (at_char(p, '('))
            return parse_literal_array(p);
        if (at_char(p, '['))
            return parse_byte_array(p);
        /* fall through */
    default:
        fail(p, p->tok.start, "a literal or ) is expected");
    }
    next(p);
    return l;
}

static struct lit *parse_literal_array(struct parser *p)
{
    struct lit *l = lit_new(L_ARRAY);

    next(p);
    while (!at_char(p, ')'))
        vec_push(&l->items, parse_array_item(p));
    next(p);
    return l;
}

/* --- expressions --- */

static struct node *parse_expression(struct parser *p);
static struct node *parse_block(struct parser *p);

static struct node *node_new(enum node_kind kind, uint32_t start)
{
    struct node *n = xalloc(sizeof *n);

    n->kind = kind;
    n->start = start;
    n->inst_var = -1;
    return n;
}

static struct node *literal_node(struct parser *p, struct lit *l,
                                 uint32_t start)
{
    struct node *n = node_new(N_LIT, start);

    n->lit = l;
    n->end = p->last_end;
    return n;
}

static struct node *parse_brace(struct parser *p)
{
    struct node *n = node_new(N_BRACE, p->tok.start);

    next(p);
    while (!at_char(p, '}')) {
        vec_push(&n->kids, parse_expression(p));
        if (at_char(p, '.'))
            next(p);
        else if (!at_char(p, '}'))
            fail(p, p->tok.start, "} or . expected");
    }
    n->end = p->tok.end;
    next(p);
    return n;
}

static struct node *parse_primary(struct parser *p)
{
    uint32_t start = p->tok.start;
    struct node *n;
    struct lit *l;

    if (at_minus_number(p))
        join_minus(p);
    switch (p->tok.kind) {
    case T_NAME:
        n = node_new(N_VAR, start);
        n->name = p->tok.text;
        n->end = p->tok.end;
        next(p);
        return n;
    case T_LITERAL:
        l = p->tok.lit;
        next(p);
        return literal_node(p, l, start);
    case T_HASH_PAREN:
        l = parse_literal_array(p);
        return literal_node(p, l, start);
    case T_HASH_BRACKET:
        l = parse_byte_array(p);
        return literal_node(p, l, start);
    default:
        break;
    }
    if (at_char(p, '['))
        return parse_block(p);
    if (at_char(p, '{'))
        return parse_brace(p);
    if (!at_char(p, '('))
        fail(p, start, "an expression is expected");
    next(p);
    n = parse_expression(p);
    expect(p, ')');
    return n;
}

static struct node *send_new(struct node *receiver, const char *selector)
{
    struct node *n = node_new(N_SEND, receiver ? receiver->start : 0);

    n->value = receiver;
    n->name = selector;
    return n;
}

static struct node *parse_unary(struct parser *p, struct node *n, bool *sent)
{
    while (p->tok.kind == T_NAME) {
        n = send_new(n, p->tok.text);
        n->end = p->tok.end;
        next(p);
        *sent = true;
    }
    return n;
}

static struct node *parse_binary(struct parser *p, struct node *n, bool *sent)
{
    bool ignored;

    n = parse_unary(p, n, sent);
    while (p->tok.kind == T_BINARY) {
        const char *selector = p->tok.text;

        next(p);
        n = send_new(n, selector);
        vec_push(&n->kids, parse_unary(p, parse_primary(p), &ignored));
        n->end = p->last_end;
        *sent = true;
    }
    return n;
}

static struct node *parse_keywords(struct parser *p, struct node *n,
                                   bool *sent)
{
    const char *selector = "";
    bool ignored;

    if (p->tok.kind != T_KEYWORD)
        return n;
    n = send_new(n, NULL);
    while (p->tok.kind == T_KEYWORD) {
        selector = format_text("%s%s", selector, p->tok.text);
        next(p);
        vec_push(&n->kids, parse_binary(p, parse_primary(p), &ignored));
    }
    n->name = intern(selector);
    n->end = p->last_end;
    *sent = true;
    return n;
}

/* One message of a cascade; its receiver is the cascade's. */
static struct node *parse_cascade_part(struct parser *p)
{
    struct node *n;
    uint32_t start = p->tok.start;
    bool ignored;

    if (p->tok.kind == T_NAME) {
        n = send_new(NULL, p->tok.text);
        next(p);
    } else if (p->tok.kind == T_BINARY) {
        n = send_new(NULL, p->tok.text);
        next(p);
        vec_push(&n->kids, parse_unary(p, parse_primary(p), &ignored));
    } else if (p->tok.kind == T_KEYWORD) {
        n = parse_keywords(p, NULL, &ignored);
    } else {
        fail(p, start, "a message is expected after ;");
    }
    n->start = start;
    n->end = p->last_end;
    return n;
}

static struct node *parse_cascade(struct parser *p, struct node *n)
{
    struct node *c = node_new(N_CASCADE, n->start);

    c->value = n->value;
    n->value = NULL;
    vec_push(&c->kids, n);
    while (at_char(p, ';')) {
        next(p);
        vec_push(&c->kids, parse_cascade_part(p));
    }
    c->end = p->last_end;
    return c;
}

static bool at_assignment(const struct parser *p)
{
    struct parser ahead = *p;

    if (p->tok.kind != T_NAME)
        return false;
    next(&ahead);
    return ahead.tok.kind == T_ASSIGN;
}

static struct node *parse_expression(struct parser *p)
{
    struct node *n;
    bool sent = false;

    if (at_assignment(p)) {
        n = node_new(N_ASSIGN, p->tok.start);
        n->name = p->tok.text;
        next(p);
        next(p);
        n->value = parse_expression(p);
        n->end = p->last_end;
        return n;
    }
    n = parse_binary(p, parse_primary(p), &sent);
    n = parse_keywords(p, n, &sent);
    if (!at_char(p, ';'))
        return n;
    if (!sent)
        fail(p, p->tok.start, "; needs a message before it");
    return parse_cascade(p, n);
}

/* --- statements, blocks, methods --- */

static void parse_statements(struct parser *p, struct node *block)
{
    for (;;) {
        struct node *n;

        while (at_char(p, '.'))
            next(p);
        if (p->tok.kind == T_END || at_char(p, ']'))
            return;
        if (at_char(p, '^')) {
            n = node_new(N_RETURN, p->tok.start);
            next(p);
            n->value = parse_expression(p);
            n->end = p->last_end;
        } else {
            n = parse_expression(p);
        }
        vec_push(&block->kids, n);
        if (p->tok.kind == T_END || at_char(p, ']'))
            return;
        if (!at_char(p, '.'))
            fail(p, p->tok.start, "nothing more, or a period, is expected");
        if (n->kind == N_RETURN) {
            while (at_char(p, '.'))
                next(p);
            if (p->tok.kind != T_END && !at_char(p, ']'))
                fail(p, p->tok.start, "statements after a return");
            return;
        }
    }
}

static void parse_temps(struct parser *p, struct node *block)
{
    if (at_binary(p, "||")) {
        next(p);
        return;
    }
    if (!at_binary(p, "|"))
        return;
    for (next(p); p->tok.kind == T_NAME; next(p))
        vec_push(&block->temps, p->tok.text);
    if (!at_binary(p, "|"))
        fail(p, p->tok.start, "| expected after the temporaries");
    next(p);
}

static void parse_params(struct parser *p, struct node *block)
{
    while (at_char(p, ':')) {
        next(p);
        if (p->tok.kind != T_NAME)
            fail(p, p->tok.start, "a block argument's name is expected");
        vec_push(&block->params, p->tok.text);
        next(p);
    }
    if (!block->params.n || at_char(p, ']'))
        return;
    if (at_binary(p, "||")) { /* the bar, and the bar that opens temps */
        p->pos = p->tok.end - 1;
        next(p);
        return;
    }
    if (!at_binary(p, "|"))
        fail(p, p->tok.start, "| expected after the block arguments");
    next(p);
}

static struct node *parse_block(struct parser *p)
{
    struct node *n = node_new(N_BLOCK, p->tok.start);

    next(p);
    parse_params(p, n);
    parse_temps(p, n);
    parse_statements(p, n);
    if (!at_char(p, ']'))
        fail(p, n->start, "block without a closing ]");
    n->end = p->tok.end;
    next(p);
    return n;
}

static struct lit *parse_pragma_argument(struct parser *p)
{
    if (p->tok.kind == T_BINARY && !at_minus_number(p))
        fail(p, p->tok.start, "a literal is expected in a pragma");
    return parse_array_item(p);
}

static struct lit *pragma_arg(const struct pragma *g, const char *keyword,
                              const char *other)
{
    const char *s = g->selector;

    for (size_t i = 0; i < g->args.n; i++) {
        size_t n = strcspn(s, ":") + 1;

        if ((strlen(keyword) == n && !strncmp(s, keyword, n)) ||
            (other && strlen(other) == n && !strncmp(s, other, n)))
            return g->args.at[i];
        s += n;
    }
    return NULL;
}

static void use_primitive(struct parser *p, const struct pragma *g,
                          uint32_t at)
{
    struct tree *t = p->tree;
    struct lit *what = g->args.at[0], *module, *error;
    int64_t number;

    error = pragma_arg(g, "error:", "errorCode:");
    if (error)
        t->error_name = error->text;
    if (lit_small(what, &number) && number > 0 && number < 32768) {
        t->primitive = (unsigned)number;
        return;
    }
    if (what->kind != L_STRING && what->kind != L_SYMBOL)
        fail(p, at, "a primitive is a number or a name");
    module = pragma_arg(g, "module:", NULL);
    t->primitive = 117;
    t->prim_spec = lit_new(L_ARRAY);
    vec_push(&t->prim_spec->items, module ? module : lit_new(L_NIL));
    vec_push(&t->prim_spec->items, what);
    vec_push(&t->prim_spec->items, lit_int(0));
    vec_push(&t->prim_spec->items, lit_int(0));
}

static void parse_pragma(struct parser *p)
{
    struct pragma *g = xalloc(sizeof *g);
    const char *selector = "";
    uint32_t at = p->tok.start;

    next(p);
    if (p->tok.kind == T_NAME) {
        selector = p->tok.text;
        next(p);
    }
    while (p->tok.kind == T_KEYWORD) {
        selector = format_text("%s%s", selector, p->tok.text);
        next(p);
        vec_push(&g->args, parse_pragma_argument(p));
    }
    g->selector = intern(selector);
    if (!at_binary(p, ">") || !*selector)
        fail(p, p->tok.start, "a pragma or its closing > is expected");
    next(p);
    if (!strncmp(selector, "primitive:", 10))
        use_primitive(p, g, at);
    else
        vec_push(&p->tree->pragmas, g);
}

static const char *parse_param(struct parser *p)
{
    const char *name = p->tok.text;

    if (p->tok.kind != T_NAME)
        fail(p, p->tok.start, "an argument's name is expected");
    next(p);
    return name;
}

static void parse_pattern(struct parser *p)
{
    struct tree *t = p->tree;
    const char *selector = "";

    if (p->tok.kind == T_NAME) {
        t->selector = p->tok.text;
        next(p);
    } else if (p->tok.kind == T_BINARY) {
        t->selector = p->tok.text;
        next(p);
        vec_push(&t->body->params, parse_param(p));
    } else if (p->tok.kind == T_KEYWORD) {
        while (p->tok.kind == T_KEYWORD) {
            selector = format_text("%s%s", selector, p->tok.text);
            next(p);
            vec_push(&t->body->params, parse_param(p));
        }
        t->selector = intern(selector);
    } else {
        fail(p, p->tok.start, "a method starts with its pattern");
    }
}

struct tree *parse_method(struct method *m)
{
    struct tree *t = xalloc(sizeof *t);
    struct parser p = { .tree = t, .method = m, .src = m->source };

    t->method = m;
    t->body = node_new(N_BLOCK, 0);
    t->body->end = (uint32_t)m->source_size;
    next(&p);
    parse_pattern(&p);
    m->selector = t->selector;
    for (;;) {
        if (at_binary(&p, "<"))
            parse_pragma(&p);
        else if (at_binary(&p, "|") || at_binary(&p, "||"))
            parse_temps(&p, t->body);
        else
            break;
    }
    parse_statements(&p, t->body);
    if (p.tok.kind != T_END)
        fail(&p, p.tok.start, "%c without its opening one", p.tok.punct);
    return t;
}
