/*
 * The pages of data.mdb, looked at without LMDB, which trusts them.
 *
 * The layout is that of LMDB's data version 1 (LMDB 0.9, mdb.c): two meta pages; trees of branch
 * and leaf pages, a page's nodes found by offsets that follow its header; large values on overflow
 * pages; the tree of free pages; the main tree, whose values are the roots of the others. Looked
 * at is all that LMDB relies on when it reads and when it writes: that each page is what it is used
 * as, that nodes lie within it and fill it, that keys rise, that the counts are right (retention
 * goes by them), and that no page has two uses or is both used and free.
 */
#include "store/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_MAGIC 0xBEEFC0DEu
enum {
    META_VERSION = 1,
    PAGE_HEADER = 16,
    PAGE_MIN = 4096,
    PAGE_MAX = 65536,
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    NODE_HEADER = 8,
    NODE_BIG = 0x01,
    NODE_TREE = 0x02,
    DEPTH_MAX = 32,
    ENV_NOSUBDIR = 0x4000, /* it was made under another name */
    READ_AHEAD = LIMIT_MIB,
};
#define NO_PAGE UINT64_MAX

struct tree {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct tree free, main;
    uint64_t last_page, txn;
};
_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 136, "as on disk");

struct head {
    uint64_t number;
    uint16_t pad, flags, lower, upper;
};

struct node {
    uint16_t low, high, flags, key_bytes;
};
_Static_assert(sizeof(struct head) == PAGE_HEADER && sizeof(struct node) == NODE_HEADER, "same");

struct pages {
    struct store_check *check;
    int fd;
    uint64_t count; /* there are, in the file and by the meta page */
    uint64_t last;  /* by the meta page */
    uint64_t txn;   /* the commit that it is of */
    size_t page_bytes;
    uint8_t *used, *free;      /* a bit a page */
    uint8_t *level[DEPTH_MAX]; /* the pages from the root to here */
    uint8_t *value;            /* of the tree of free pages */
    size_t value_room;
};

/* A tree under way. */
struct walk {
    const char *name;
    const struct tree *tree;
    uint64_t branches, leaves, overflows, entries;
    bool started;
    bool bound;       /* it is a branch's, which the next may equal */
    size_t key_bytes; /* the last key; the trees' keys are short */
    uint8_t key[512];
    bool main, frees;
};

static bool bad(struct pages *p, const char *name, uint64_t page, const char *what)
{
    store_check_say(p->check, STORE_CHECK_FATAL, "%s: page %llu: %s", name,
                    (unsigned long long)page, what);
    return false;
}

static bool take_page(struct pages *p, const char *name, uint64_t page)
{
    if (page < 2 || page >= p->count)
        return bad(p, name, page, "it is used, and is outside of the file");
    if (p->used[page / 8] >> page % 8 & 1)
        return bad(p, name, page, "it is used twice");
    p->used[page / 8] |= (uint8_t)(1u << page % 8);
    return true;
}

static bool read_at(struct pages *p, void *out, size_t size, uint64_t at)
{
    return pread(p->fd, out, size, (off_t)at) == (ssize_t)size;
}

static int compare_keys(const struct walk *w, const uint8_t *key, size_t bytes)
{
    size_t least = bytes < w->key_bytes ? bytes : w->key_bytes;
    uint64_t a, b;
    int order;

    if (w->tree->flags & MDB_INTEGERKEY) {
        memcpy(&a, w->key, sizeof a);
        memcpy(&b, key, sizeof b);
        return (a > b) - (a < b);
    }
    order = memcmp(w->key, key, least);
    return order != 0 ? order : (w->key_bytes > bytes) - (w->key_bytes < bytes);
}

/* The keys of the leaves rise; a branch's key is above all before it and not above what follows. */
static bool next_key(struct walk *w, const uint8_t *key, size_t bytes, bool leaf)
{
    if (bytes == 0 || bytes > sizeof w->key ||
        ((w->tree->flags & MDB_INTEGERKEY) && bytes != sizeof(uint64_t)))
        return false;
    if (w->started && compare_keys(w, key, bytes) >= (leaf && w->bound ? 1 : 0))
        return false;
    memcpy(w->key, key, bytes);
    w->key_bytes = bytes;
    w->started = true;
    w->bound = !leaf;
    return true;
}

/* A list of free pages: how many, and then they, falling. */
static bool free_list(struct pages *p, const struct walk *w, uint64_t page, const uint8_t *value,
                      size_t bytes)
{
    uint64_t count = 0, number, before = NO_PAGE, freed_by;

    memcpy(&freed_by, w->key, sizeof freed_by);
    if (freed_by == 0 || freed_by > p->txn)
        return bad(p, w->name, page, "pages were freed by a commit that has not been");
    if (bytes >= sizeof count)
        memcpy(&count, value, sizeof count);
    if (bytes < sizeof count || bytes % sizeof count != 0 || count >= bytes / sizeof count)
        return bad(p, w->name, page, "a list of free pages is longer than it can be");
    for (uint64_t i = 1; i <= count; i++, before = number) {
        memcpy(&number, value + i * sizeof number, sizeof number);
        if (number < 2 || number > p->last || number >= before)
            return bad(p, w->name, page, "a list of free pages has what is none");
        if (number >= p->count)
            continue; /* never written, and the file ends before it */
        if (p->free[number / 8] >> number % 8 & 1)
            return bad(p, w->name, number, "it is free twice");
        p->free[number / 8] |= (uint8_t)(1u << number % 8);
    }
    return true;
}

/* A value on pages of its own. */
static bool big_value(struct pages *p, struct walk *w, uint64_t first, size_t bytes)
{
    uint64_t count = (PAGE_HEADER + (uint64_t)bytes + p->page_bytes - 1) / p->page_bytes;
    struct head head;
    uint32_t stated;

    for (uint64_t i = 0; i < count; i++) {
        if (!take_page(p, w->name, first + i))
            return false;
    }
    if (!read_at(p, &head, sizeof head, first * p->page_bytes))
        return bad(p, w->name, first, "it cannot be read");
    memcpy(&stated, &head.lower, sizeof stated);
    if (head.number != first || head.flags != PAGE_OVERFLOW || stated != count)
        return bad(p, w->name, first, "it is not the large value that it should be");
    w->overflows += count;
    if (!w->frees)
        return true;
    if (bytes > p->value_room) {
        uint8_t *more = realloc(p->value, bytes);

        if (more == NULL)
            return bad(p, w->name, first, "out of memory");
        p->value = more;
        p->value_room = bytes;
    }
    if (!read_at(p, p->value, bytes, first * p->page_bytes + PAGE_HEADER))
        return bad(p, w->name, first, "it cannot be read");
    return free_list(p, w, first, p->value, bytes);
}

static bool walk_tree(struct pages *p, const char *name, const struct tree *tree, unsigned level,
                      bool main, bool frees);

static bool leaf_value(struct pages *p, struct walk *w, uint64_t page, const struct node *node,
                       const uint8_t *value, unsigned level)
{
    size_t bytes = node->low | (size_t)node->high << 16;
    char name[64];
    struct tree tree;
    uint64_t first;

    if (node->flags & NODE_BIG) {
        memcpy(&first, value, sizeof first);
        return big_value(p, w, first, bytes);
    }
    if (w->frees)
        return free_list(p, w, page, value, bytes);
    if (!w->main)
        return true;
    if (bytes != sizeof tree)
        return bad(p, w->name, page, "the root of a database is damaged");
    memcpy(&tree, value, sizeof tree);
    /* e.<id> and d.<id> have numbers as keys, all others text. */
    if (tree.flags != (w->key_bytes > 1 && w->key[1] == '.' ? MDB_INTEGERKEY : 0))
        return bad(p, w->name, page, "the flags of a database are damaged");
    snprintf(name, sizeof name, "database %.*s", (int)(w->key_bytes < 40 ? w->key_bytes : 40),
             (const char *)w->key);
    return walk_tree(p, name, &tree, level, false, false);
}

/* Where node `i` of the page begins, with its header; false: it cannot be there. */
static bool find_node(const struct pages *p, const uint8_t *bytes, const struct head *head,
                      unsigned i, struct node *node, size_t *at)
{
    uint16_t offset;

    memcpy(&offset, bytes + PAGE_HEADER + 2 * i, sizeof offset);
    *at = offset;
    if (offset % 2 != 0 || offset < head->upper || (size_t)offset + NODE_HEADER > p->page_bytes)
        return false;
    memcpy(node, bytes + offset, sizeof *node);
    return (size_t)offset + NODE_HEADER + node->key_bytes <= p->page_bytes;
}

static bool walk_page(struct pages *p, struct walk *w, uint64_t page, unsigned depth,
                      unsigned level);

static bool walk_branch(struct pages *p, struct walk *w, uint64_t page, const uint8_t *bytes,
                        unsigned depth, unsigned level)
{
    size_t at, filled = 0;
    struct head head;
    struct node node;

    memcpy(&head, bytes, sizeof head);
    w->branches++;
    for (unsigned i = 0; i < (head.lower - PAGE_HEADER) / 2u; i++) {
        if (!find_node(p, bytes, &head, i, &node, &at))
            return bad(p, w->name, page, "a node is outside of it");
        filled += (NODE_HEADER + (size_t)node.key_bytes + 1) & ~(size_t)1;
        /* The first key stands for all that is smaller. */
        if (i > 0 && !next_key(w, bytes + at + NODE_HEADER, node.key_bytes, false))
            return bad(p, w->name, page, "its keys do not rise");
        if (!walk_page(p, w, node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32,
                       depth + 1, level + 1))
            return false;
    }
    return filled == p->page_bytes - head.upper || bad(p, w->name, page, "its nodes do not fit");
}

static bool walk_leaf(struct pages *p, struct walk *w, uint64_t page, const uint8_t *bytes,
                      unsigned level)
{
    size_t at, filled = 0;
    struct head head;
    struct node node;

    memcpy(&head, bytes, sizeof head);
    w->leaves++;
    for (unsigned i = 0; i < (head.lower - PAGE_HEADER) / 2u; i++) {
        size_t size;

        if (!find_node(p, bytes, &head, i, &node, &at))
            return bad(p, w->name, page, "a node is outside of it");
        if (node.flags != (w->main ? NODE_TREE : 0) && (w->main || node.flags != NODE_BIG))
            return bad(p, w->name, page, "a node is of no kind that there is");
        size = node.flags & NODE_BIG ? sizeof(uint64_t) : node.low | (size_t)node.high << 16;
        size += NODE_HEADER + (size_t)node.key_bytes;
        if (size > p->page_bytes - at)
            return bad(p, w->name, page, "a value is outside of it");
        filled += (size + 1) & ~(size_t)1;
        if (!next_key(w, bytes + at + NODE_HEADER, node.key_bytes, true))
            return bad(p, w->name, page, "its keys do not rise");
        if (!leaf_value(p, w, page, &node, bytes + at + NODE_HEADER + node.key_bytes, level + 1))
            return false;
        w->entries++;
    }
    return filled == p->page_bytes - head.upper || bad(p, w->name, page, "its nodes do not fit");
}

static bool walk_page(struct pages *p, struct walk *w, uint64_t page, unsigned depth,
                      unsigned level)
{
    unsigned kind = depth == w->tree->depth ? PAGE_LEAF : PAGE_BRANCH;
    struct head head;
    uint8_t *bytes;

    store_check_went(p->check, p->page_bytes);
    if (level >= DEPTH_MAX)
        return bad(p, w->name, page, "the tree is too deep");
    if (!take_page(p, w->name, page))
        return false;
    if (p->level[level] == NULL)
        p->level[level] = malloc(p->page_bytes);
    bytes = p->level[level];
    if (bytes == NULL || !read_at(p, bytes, p->page_bytes, page * p->page_bytes))
        return bad(p, w->name, page, "it cannot be read");
    memcpy(&head, bytes, sizeof head);
    if (head.number != page || head.flags != kind)
        return bad(p, w->name, page, "it is not the page that it should be");
    if (head.lower < PAGE_HEADER + 2 * (kind == PAGE_BRANCH ? 2 : 1) || head.lower % 2 != 0 ||
        head.lower > head.upper || head.upper > p->page_bytes)
        return bad(p, w->name, page, "its bounds are damaged");
    return kind == PAGE_LEAF ? walk_leaf(p, w, page, bytes, level)
                             : walk_branch(p, w, page, bytes, depth, level);
}

static bool walk_tree(struct pages *p, const char *name, const struct tree *tree, unsigned level,
                      bool main, bool frees)
{
    struct walk w = {.name = name, .tree = tree, .main = main, .frees = frees};

    store_check_say(p->check, STORE_CHECK_AT, "the pages of %s", name);
    if (main && tree->flags != 0)
        return bad(p, name, tree->root, "its flags are damaged");
    if ((tree->root == NO_PAGE) != (tree->depth == 0))
        return bad(p, name, tree->root, "its root is damaged");
    if (tree->root != NO_PAGE && !walk_page(p, &w, tree->root, 1, level))
        return false;
    if (w.branches != tree->branches || w.leaves != tree->leaves ||
        w.overflows != tree->overflows || w.entries != tree->entries)
        return bad(p, name, tree->root, "its counts are damaged");
    return true;
}

/* The walk jumps about in the file, and through it once from end to end is faster on a disk that is
 * cold. What cannot be read is found by the walk, if it is used. */
static void read_ahead(struct pages *p, uint64_t file_bytes)
{
    for (uint64_t at = 0; at < file_bytes; at += READ_AHEAD) {
        posix_fadvise(p->fd, (off_t)at, READ_AHEAD, POSIX_FADV_WILLNEED);
        store_check_say(p->check, STORE_CHECK_AT, "%llu MiB of the file",
                        (unsigned long long)(at / LIMIT_MIB));
    }
}

/* Commits write the two in turn, and LMDB finds the newest by its number's last bit. A new store's
 * two are of commit 0. */
static bool is_of_commit(unsigned page, uint64_t txn)
{
    return txn == 0 || txn % 2 == page;
}

/* The newer of the two, as LMDB takes it. */
static bool read_meta(struct pages *p, struct meta *meta)
{
    struct meta both[2];
    struct head head;
    uint64_t at = 0;

    for (unsigned i = 0; i < 2; i++, at = both[0].free.pad) {
        struct meta *m = &both[i];

        if (!read_at(p, &head, sizeof head, at) || !read_at(p, m, sizeof *m, at + PAGE_HEADER) ||
            head.number != i || (head.flags & PAGE_META) == 0 || m->magic != META_MAGIC ||
            m->version != META_VERSION || m->free.pad < PAGE_MIN || m->free.pad > PAGE_MAX ||
            (m->free.pad & (m->free.pad - 1)) != 0 || m->free.pad != both[0].free.pad ||
            ((m->free.flags & ~ENV_NOSUBDIR) != MDB_INTEGERKEY) || !is_of_commit(i, m->txn))
            return bad(p, "the file", i, "it is not the head that it should be");
    }
    *meta = both[both[1].txn > both[0].txn];
    p->page_bytes = meta->free.pad;
    return true;
}

static bool look(struct pages *p)
{
    struct meta meta;
    struct stat st;

    if (!read_meta(p, &meta))
        return false;
    if (fstat(p->fd, &st) != 0)
        return bad(p, "the file", 0, "it cannot be looked at");
    read_ahead(p, (uint64_t)st.st_size);
    p->last = meta.last_page;
    p->txn = meta.txn;
    p->count = (uint64_t)st.st_size / p->page_bytes;
    if (p->last >= meta.map_bytes / p->page_bytes)
        return bad(p, "the file", p->last, "its end is damaged");
    if (p->count > p->last)
        p->count = p->last + 1;
    p->used = calloc(1, p->count / 8 + 1);
    p->free = calloc(1, p->count / 8 + 1);
    if (p->used == NULL || p->free == NULL)
        return bad(p, "the file", 0, "out of memory");
    if (!walk_tree(p, "the free pages", &meta.free, 0, false, true) ||
        !walk_tree(p, "the databases", &meta.main, 0, true, false))
        return false;
    for (uint64_t i = 0; i < p->count; i++) {
        if (p->used[i / 8] & p->free[i / 8] & 1u << i % 8)
            return bad(p, "the free pages", i, "it is used too");
    }
    return true;
}

void store_check_pages(struct store_check *check, const char *path)
{
    struct pages p = {.check = check};
    char name[4096];

    snprintf(name, sizeof name, "%s/data.mdb", path);
    p.fd = open(name, O_RDONLY | O_CLOEXEC);
    if (p.fd < 0)
        return; /* none yet, or the opening says why */
    look(&p);
    close(p.fd);
    free(p.value);
    free(p.used);
    free(p.free);
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        free(p.level[i]);
}
