#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct list_node node;
};

static int value_of(struct list_node *node)
{
    return LIST_ENTRY(node, struct item, node)->value;
}

static void empty_list(void **state)
{
    struct list_node list;
    struct list_node *node;
    struct list_node *after;

    (void)state;
    list_init(&list);
    assert_true(list_empty(&list));
    assert_null(list_first(&list));
    list_for_each(node, after, &list) fail();
}

static void order_is_kept(void **state)
{
    struct item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
    struct list_node list;
    struct list_node *node;
    struct list_node *after;
    int next = 0;

    (void)state;
    list_init(&list);
    for (int i = 0; i < 3; i++)
        list_push_back(&list, &items[i].node);
    assert_false(list_empty(&list));
    assert_ptr_equal(list_first(&list), &items[0].node);
    list_for_each(node, after, &list) assert_int_equal(value_of(node), next++);
    assert_int_equal(next, 3);
    assert_ptr_equal(list.prev, &items[2].node);
}

static void removal(void **state)
{
    struct item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
    struct list_node list;

    (void)state;
    list_init(&list);
    for (int i = 0; i < 3; i++)
        list_push_back(&list, &items[i].node);
    list_remove(&items[1].node);
    assert_ptr_equal(items[0].node.next, &items[2].node);
    assert_ptr_equal(items[2].node.prev, &items[0].node);
    /* A second time does nothing. */
    list_remove(&items[1].node);
    list_remove(&items[0].node);
    assert_ptr_equal(list_first(&list), &items[2].node);
    list_remove(&items[2].node);
    assert_true(list_empty(&list));
    list_push_back(&list, &items[1].node);
    assert_int_equal(value_of(list_first(&list)), 1);
}

static void removal_during_a_visit(void **state)
{
    struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    struct list_node list;
    struct list_node *node;
    struct list_node *after;
    int visited = 0;

    (void)state;
    list_init(&list);
    for (int i = 0; i < 4; i++)
        list_push_back(&list, &items[i].node);
    list_for_each(node, after, &list)
    {
        assert_int_equal(value_of(node), visited++);
        list_remove(node);
    }
    assert_int_equal(visited, 4);
    assert_true(list_empty(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_list),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(removal),
        cmocka_unit_test(removal_during_a_visit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
