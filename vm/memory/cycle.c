/*
 * cycle.c - the collection of old space in steps between safepoints: marking,
 * then sweeping to the free lists. Nothing old is moved.
 *
 * While it marks, everything young counts as alive, and:
 *
 * - An old object that is stored into an old one is marked by the write
 *   barrier, whose range (barrier_size) covers old space as well then. So
 *   nothing traced ever refers to something unknown, if it is old.
 * - What is born old or tenured is marked, and traced later.
 * - When all is traced, a scavenge, then the roots and the young objects lead
 *   to what was missed. Marking is over when that is traced as well; should
 *   it be much, the program runs in between and all is tried again.
 *
 * The sweep reads live bits only: runs without any become free chunks. They
 * are cleared behind it. Beyond sweep_at dead objects still lie about, so who
 * walks old space does it by heap_next_old.
 */
#include "vm/memory/heap_private.h"
#include "vm/vm.h"

enum {
    FINISH_USECS = 2000, /* for tracing what was missed */
    MAX_ATTEMPTS = 8,    /* at that, then it takes the time it takes */
    LEAST_ROOM = 16 << 20,
    SHRINK_STEP = 4 << 20,
};

static void set_phase(struct heap *h, enum phase phase)
{
    h->private_->phase = phase;
    h->barrier_size = phase == PHASE_MARKING
                          ? h->private_->old_max - h->new_start
                          : h->new_size;
}

bool heap_cycle_runs(const struct heap *h)
{
    return h->private_->phase != PHASE_IDLE;
}

/* --- beginning --- */

void heap_cycle_start(struct heap *h)
{
    struct heap_private *p = h->private_;
    struct cycle *c = &p->cycle;
    uint64_t room = heap_bytes_free(h) / 2;

    h->cycle_wanted = false;
    if (p->phase != PHASE_IDLE)
        return;
    mark_begin(h, h->old_start);
    set_phase(h, PHASE_MARKING);
    c->traced = c->attempts = 0;
    c->all_traced = false;
    c->used = heap_old_used(h);
    c->least_free = room / 2;
    c->room = c->used / 2 > LEAST_ROOM ? c->used / 2 : LEAST_ROOM;
    if (c->room > room)
        c->room = room;
    mark_heap_roots(h);
}

void heap_cycle_abandon(struct heap *h)
{
    if (!heap_cycle_runs(h))
        return;
    set_phase(h, PHASE_IDLE);
    h->private_->cycle.credit = 0;
    heap_clear_live(h, h->old_start, h->old_end);
}

void heap_keep(struct heap *h, oop o)
{
    if (h->private_->phase == PHASE_MARKING)
        mark_kept(h, o);
}

/* --- the end of marking --- */

static void trace_young(struct heap *h)
{
    uint64_t at = h->private_->past_start;

    while (at < h->private_->past_free) {
        oop o = object_at(at);

        at = chunk_end(o);
        mark_through(h, o);
    }
}

static void drop_young(struct heap *h, struct oop_list *l)
{
    uint64_t i, kept = 0;

    for (i = 0; i < l->count; i++)
        if (!heap_is_young(h, list_items(l)[i]))
            list_items(l)[kept++] = list_items(l)[i];
    l->count = kept;
}

static bool is_alive_piece(struct heap *h, oop o, uint64_t piece)
{
    return live_bit(h, o);
}

static void forget_dead_remembered(struct heap *h)
{
    struct oop_list *l = &h->private_->remembered;
    uint64_t i, kept = 0;

    for (i = 0; i < l->count; i++)
        if (live_bit(h, list_items(l)[i]))
            list_items(l)[kept++] = list_items(l)[i];
    l->count = kept;
    heap_filter_pieces(h, is_alive_piece);
}

/* Entries above the fixed page keep no class alive. True if any died. */
static bool clean_class_table(struct heap *h)
{
    uint32_t i, end = h->class_pages * PAGE_SLOTS;
    bool died = false;

    for (i = PAGE_SLOTS; i < end; i++)
        if (!heap_is_alive(h, heap_class_at(h, i))) {
            h->class_table[i >> 10][i & (PAGE_SLOTS - 1)] = h->nil;
            died = true;
        }
    return died;
}

static oop keep_alive(struct heap *h, oop o)
{
    o = heap_follow(o);
    return heap_is_alive(h, o) ? o : 0;
}

static void start_sweep(struct heap *h)
{
    struct cycle *c = &h->private_->cycle;

    set_phase(h, PHASE_SWEEPING);
    c->credit = h->old_free_bytes;
    heap_forget_free_chunks(h);
    c->sweep_at = c->sweep_scan = h->old_start;
    c->sweep_end = h->old_end;
}

static void end_marking(struct heap *h)
{
    struct heap_private *p = h->private_;
    bool died;

    h->barrier_size = h->new_size;
    mark_settle(h);
    died = clean_class_table(h);
    forget_dead_remembered(h);
    if (p->owner.visit_weak)
        p->owner.visit_weak(p->owner.owner, keep_alive);
    if (p->owner.after_mark)
        p->owner.after_mark(p->owner.owner, died, p->forwarders_kept);
    start_sweep(h);
}

/* Traces for so long, at least a little, and looks ahead then if that is
 * wanted; true: nothing is left. */
static bool trace_for(struct heap *h, uint64_t usecs, bool ahead)
{
    uint64_t end = plat_usecs() + usecs;
    struct cycle *c = &h->private_->cycle;
    uint64_t quantum = usecs ? c->quantum : c->quantum / 64 + 1;

    do {
        if (mark_trace(h, quantum) &&
            (!ahead || mark_look_ahead(h, quantum)))
            return true;
        c->traced += quantum;
    } while (!h->private_->marker.overflow && plat_usecs() < end);
    return false;
}

/* A list was too small: the full collection can do with less. */
static bool gives_up(struct heap *h)
{
    struct heap_private *p = h->private_;

    if (!p->marker.overflow && !p->remembered_overflow)
        return false;
    heap_cycle_abandon(h);
    h->full_gc_wanted = true;
    vm_force_check();
    return true;
}

static void try_to_finish(struct heap *h, uint64_t usecs)
{
    struct heap_private *p = h->private_;
    bool last = ++p->cycle.attempts == MAX_ATTEMPTS;

    heap_scavenge(h);
    if (gives_up(h))
        return;
    mark_heap_roots(h);
    if (p->owner.visit_roots)
        p->owner.visit_roots(p->owner.owner, mark_visit, ROOTS_MARK);
    trace_young(h);
    if (trace_for(h, usecs, false) || (last && mark_trace(h, UINT64_MAX))) {
        end_marking(h);
        return;
    }
    drop_young(h, &p->marker.weak);
    drop_young(h, &p->marker.ephemerons);
    p->cycle.all_traced = false;
    (void)gives_up(h);
}

static void mark_step(struct heap *h, uint64_t usecs)
{
    struct cycle *c = &h->private_->cycle;
    uint64_t start = plat_usecs();

    if (c->all_traced) {
        try_to_finish(h, usecs ? FINISH_USECS : 0);
        heap_note_pause(h, PAUSE_FINISH, start);
    } else {
        c->all_traced = trace_for(h, usecs, true);
        if (!c->all_traced)
            (void)gives_up(h);
        heap_note_pause(h, PAUSE_MARK, start);
    }
}

/* --- sweeping --- */

/* First word from `word` on that is dead, or `end`. */
static uint64_t next_dead(const struct heap *h, uint64_t word, uint64_t end)
{
    const uint64_t *b = live_block(h, word);
    uint64_t bits;

    if (word >= end)
        return end;
    bits = ~*b >> (word & 63);
    for (; !bits; bits = ~*++b) {
        word = (word | 63) + 1;
        if (word >= end)
            return end;
    }
    word += (unsigned)__builtin_ctzll(bits);
    return word < end ? word : end;
}

/* All before `word`, where a chunk begins, is in order. */
static void swept_to(struct heap *h, uint64_t word)
{
    struct cycle *c = &h->private_->cycle;
    uint64_t *from = live_block(h, word_of(h, c->sweep_at));
    uint64_t *to = live_block(h, word);

    memset(from, 0, (size_t)((char *)to - (char *)from));
    c->sweep_at = c->sweep_scan = h->new_start + 8 * word;
}

static void free_words(struct heap *h, uint64_t from, uint64_t to)
{
    struct cycle *c = &h->private_->cycle;
    uint64_t n = 8 * (to - from);

    c->credit = c->credit > n ? c->credit - n : 0;
    if (h->new_start + 8 * to == h->old_end)
        h->old_end = h->new_start + 8 * from;
    else
        heap_free_chunk(h, h->new_start + 8 * from, h->new_start + 8 * to);
}

/* Goes on until `limit`; a gap that reaches beyond it is freed in part, so
 * that two words at least are left of it. */
static void sweep_until(struct heap *h, uint64_t limit, uint64_t end)
{
    uint64_t word = word_of(h, h->private_->cycle.sweep_scan), dead;
    bool cut = false;

    while (!cut && (dead = next_dead(h, word, limit)) < limit) {
        word = next_live_word(h, dead, limit);
        cut = word == limit && limit < end;
        if (cut)
            word = dead + 4 <= limit ? limit - 2 : dead;
        if (word > dead)
            free_words(h, dead, word);
        swept_to(h, word);
    }
    if (!cut)
        h->private_->cycle.sweep_scan = h->new_start + 8 * limit;
}

static void sweep(struct heap *h)
{
    struct cycle *c = &h->private_->cycle;
    uint64_t end = word_of(h, c->sweep_end);
    uint64_t limit = (word_of(h, c->sweep_scan) | 63) + 65 + 8 * c->quantum;

    limit &= ~63ull;

    sweep_until(h, limit < end ? limit : end, end);
    if (c->sweep_scan < c->sweep_end)
        return;
    swept_to(h, end);
    *live_block(h, end) = 0;
}

static void end_sweep(struct heap *h)
{
    h->private_->cycle.credit = 0;
    set_phase(h, PHASE_IDLE);
    heap_set_trigger(h);
    h->stats.cycles++;
}

static void sweep_step(struct heap *h, uint64_t usecs)
{
    struct cycle *c = &h->private_->cycle;
    uint64_t start = plat_usecs();

    do {
        if (c->sweep_scan < c->sweep_end) {
            sweep(h);
        } else if (!heap_shrink(h, SHRINK_STEP) &&
                   !heap_trim_lists(h, SHRINK_STEP)) {
            end_sweep(h);
            break;
        }
    } while (plat_usecs() < start + usecs);
    heap_note_pause(h, PAUSE_SWEEP, start);
}

bool heap_sweep_all(struct heap *h)
{
    struct cycle *c = &h->private_->cycle;

    if (h->private_->phase != PHASE_SWEEPING || c->sweep_scan == c->sweep_end)
        return false;
    while (c->sweep_scan < c->sweep_end)
        sweep(h);
    return true;
}

oop heap_next_old(const struct heap *h, uint64_t *at, uint64_t end)
{
    const struct heap_private *p = h->private_;
    uint64_t sweep_end = p->cycle.sweep_end;
    oop o;

    if (p->phase == PHASE_SWEEPING && *at >= p->cycle.sweep_at &&
        *at < sweep_end) {
        o = next_live_object(h, at, sweep_end < end ? sweep_end : end);
        if (o)
            return o;
    }
    if (*at >= end)
        return 0;
    o = object_at(*at);
    *at = chunk_end(o);
    return o;
}

/* --- steps --- */

void heap_cycle_step(struct heap *h, uint64_t usecs)
{
    if (h->private_->phase == PHASE_MARKING)
        mark_step(h, usecs);
    else if (h->private_->phase == PHASE_SWEEPING)
        sweep_step(h, usecs);
}

/* Old space has grown by a larger share of what it may meanwhile than of the
 * work is done. Tracing looks at about every slot once. */
bool heap_cycle_is_late(const struct heap *h)
{
    const struct cycle *c = &h->private_->cycle;
    uint64_t used = heap_old_used(h), grown, done = c->traced * 8;

    if (h->private_->phase != PHASE_MARKING)
        return false;
    grown = used > c->used ? used - c->used : 0;
    if (done > c->used)
        done = c->used;
    return (double)grown * (double)c->used > (double)done * (double)c->room;
}
