#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "daemon/link_counts.h"

static uint64_t count(const struct link_counts_open *open, int key)
{
    for (unsigned i = 0; i < open->used; i++)
        if (open->row[i].key == key)
            return open->row[i].n;
    return UINT64_MAX;
}

static void test_closed(void **state)
{
    struct link_counts counts;
    (void)state;
    link_counts_init(&counts);
    assert_int_equal(count(&counts.closed[1], 1006), 0);
    link_counts_closed(&counts, 1006, true);
    link_counts_closed(&counts, 1006, false);
    link_counts_closed(&counts, 4001, false);
    assert_int_equal(count(&counts.closed[1], 1006), 1);
    assert_int_equal(count(&counts.closed[0], 1006), 1);
    assert_int_equal(count(&counts.closed[0], 4001), 1);
    assert_true(count(&counts.closed[1], 4001) == UINT64_MAX);
}

/* A peer that makes up a code each time gets so many series, and no more. */
static void test_codes_that_a_peer_makes_up(void **state)
{
    struct link_counts counts;
    uint64_t sum = 0;
    (void)state;
    link_counts_init(&counts);
    for (int code = 3000; code < 5000; code++)
        link_counts_closed(&counts, code, false);
    link_counts_closed(&counts, 1006, false);
    assert_int_equal(counts.closed[0].used, LINK_COUNTS_KEYS);
    for (unsigned i = 0; i < counts.closed[0].used; i++)
        sum += counts.closed[0].row[i].n;
    assert_int_equal(sum + counts.closed[0].others, 2001);
    assert_int_equal(count(&counts.closed[0], 1006), 1);
    assert_int_equal(count(&counts.closed[0], 3000), 1);
}

static void failed(struct link_counts *counts, enum net_end_kind kind, enum net_phase phase,
                   int code, enum tls_fault fault)
{
    struct net_end end = {.kind = kind, .phase = phase, .code = code};
    link_counts_failed(counts, &end, fault);
}

static void test_refused(void **state)
{
    struct link_counts counts;
    (void)state;
    link_counts_init(&counts);
    failed(&counts, NET_END_STATUS, NET_PHASE_UPGRADE, 503, TLS_FAULT_NONE);
    failed(&counts, NET_END_STRIPPED, NET_PHASE_UPGRADE, 200, TLS_FAULT_NONE);
    failed(&counts, NET_END_HANDSHAKE, NET_PHASE_UPGRADE, 101, TLS_FAULT_NONE);
    failed(&counts, NET_END_TIMEOUT, NET_PHASE_UPGRADE, 0, TLS_FAULT_NONE);
    failed(&counts, NET_END_CUT, NET_PHASE_UPGRADE, 0, TLS_FAULT_NONE);
    failed(&counts, NET_END_STATUS, NET_PHASE_PROXY, 407, TLS_FAULT_NONE);
    failed(&counts, NET_END_FAILED, NET_PHASE_TCP, 0, TLS_FAULT_NONE);
    assert_int_equal(count(&counts.refused, 503), 1);
    assert_int_equal(count(&counts.refused, 200), 1);
    assert_int_equal(count(&counts.refused, 101), 1);
    assert_int_equal(count(&counts.refused, 0), 2);
    assert_true(count(&counts.refused, 407) == UINT64_MAX);
}

static void test_tls(void **state)
{
    struct link_counts counts;
    (void)state;
    link_counts_init(&counts);
    failed(&counts, NET_END_FAILED, NET_PHASE_TLS, 0, TLS_FAULT_EXPIRED);
    failed(&counts, NET_END_FAILED, NET_PHASE_TLS, 0, TLS_FAULT_NONE);
    failed(&counts, NET_END_CUT, NET_PHASE_TLS, 0, TLS_FAULT_NONE);
    failed(&counts, NET_END_TIMEOUT, NET_PHASE_TLS, 0, TLS_FAULT_NONE);
    link_counts_files(&counts);
    assert_int_equal(counts.tls[TLS_FAULT_EXPIRED], 1);
    assert_int_equal(counts.tls[TLS_FAULT_OTHER], 1);
    assert_int_equal(counts.tls[LINK_TLS_CUT], 1);
    assert_int_equal(counts.tls[LINK_TLS_TIMEOUT], 1);
    assert_int_equal(counts.tls[LINK_TLS_FILES], 1);
}

static void test_names(void **state)
{
    (void)state;
    assert_null(link_tls_failure_name(TLS_FAULT_NONE));
    assert_string_equal(link_tls_failure_name(TLS_FAULT_EXPIRED), "expired");
    assert_string_equal(link_tls_failure_name(TLS_FAULT_OTHER), "other");
    assert_string_equal(link_tls_failure_name(LINK_TLS_CUT), "cut");
    assert_string_equal(link_tls_failure_name(LINK_TLS_COUNT - 1), "files");
    for (unsigned i = 1; i < LINK_TLS_COUNT; i++)
        for (unsigned k = 1; k < i; k++)
            assert_string_not_equal(link_tls_failure_name(i), link_tls_failure_name(k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed),  cmocka_unit_test(test_codes_that_a_peer_makes_up),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_tls),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
