/*
 * list.h - a doubly linked list whose links lie in its members.
 *
 * Decides: how things are chained without allocating.
 * Leaves to others: the members' memory; a member is removed before it is freed.
 * Owns: nothing. Fails: never.
 *
 * The list itself is a node too, the head of a ring. LIST_ENTRY is also a name of
 * <sys/queue.h>, which is not to be included along with this.
 */
#ifndef HAWSER_BASE_LIST_H
#define HAWSER_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

/* The structure of `type` whose `member` is at `node`. */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/*
 * Visits every node from first to last. `node` and `after` are variables of the caller, of
 * type struct list_node *. The body may remove `node`, but not the one behind it.
 */
#define list_for_each(node, after, head)                                                           \
    for ((node) = (head)->next, (after) = (node)->next; (node) != (head);                          \
         (node) = (after), (after) = (node)->next)

/* Makes an empty list, or a node that is in no list. */
static inline void list_init(struct list_node *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_empty(const struct list_node *head)
{
    return head->next == head;
}

/* `node` must be in no list. */
static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Takes a node out of its list; harmless for one that list_init or this left in no list. */
static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, or NULL when the list is empty. */
static inline struct list_node *list_first(const struct list_node *head)
{
    return list_empty(head) ? NULL : head->next;
}

#endif
