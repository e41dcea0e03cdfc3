/* doctor's judging: facts in, findings out; what tests/e2e/test_doctor.py cannot easily provoke. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/doctor_facts.h"

struct world {
    struct doctor_facts facts;
    struct doctor_report report;
    struct profile *profile;
};

static int set_up(void **state)
{
    static const char *const dirs[] = {"conf/profiles", NULL};
    struct world *world = calloc(1, sizeof(*world));
    struct diag *diag = diag_new();
    assert_int_equal(profile_load(dirs, "scaiwave", NULL, diag, &world->profile), 0);
    diag_free(diag);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    profile_free(world->profile);
    free(world);
    return 0;
}

/* A walk on which all is well, up to and with TCP. */
static void reach_tcp(struct world *world)
{
    struct doctor_facts *facts = &world->facts;
    memset(facts, 0, sizeof(*facts));
    facts->secure = true;
    facts->now_s = 1000000;
    facts->lookup.tried = true;
    facts->n_addresses = 1;
    snprintf(facts->addresses[0].text, sizeof(facts->addresses[0].text), "192.0.2.1:443");
}

static void dial(struct world *world)
{
    struct doctor_dial *facts = &world->facts.dial;
    facts->tried = true;
    for (int i = 0; i < NET_PHASES; i++)
        facts->took_ms[i] = i <= NET_PHASE_UPGRADE && i != NET_PHASE_PROXY ? 5 : -1;
}

static const struct doctor_finding *judge(struct world *world, const char *layer,
                                          enum doctor_verdict verdict)
{
    doctor_judge(&world->facts, world->profile, &world->report);
    for (unsigned i = 0; i < world->report.n; i++)
        if (strcmp(world->report.findings[i].layer, layer) == 0 &&
            world->report.findings[i].verdict == verdict)
            return &world->report.findings[i];
    return NULL;
}

static void test_one_address_of_two(void **state)
{
    struct world *world = *state;
    reach_tcp(world);
    world->facts.n_addresses = 2;
    world->facts.addresses[1].status = ERR_TIMEOUT;
    snprintf(world->facts.addresses[1].text, sizeof(world->facts.addresses[1].text), "[::1]:443");
    const struct doctor_finding *note = judge(world, "tcp", DOCTOR_NOTE);
    assert_non_null(note);
    assert_non_null(strstr(note->text, "goes to another address"));
    assert_false(world->report.ill);
    assert_null(world->report.stopped);
    /* None of them: that is a fault, and the end. */
    world->facts.addresses[0].status = ERR_REFUSED;
    assert_non_null(judge(world, "tcp", DOCTOR_ILL));
    assert_null(judge(world, "tcp", DOCTOR_NOTE));
    assert_string_equal(world->report.stopped, "tcp");
}

static void test_slow_names(void **state)
{
    struct world *world = *state;
    reach_tcp(world);
    world->facts.lookup.took_ms = 1000;
    assert_non_null(judge(world, "dns", DOCTOR_WELL));
    world->facts.lookup.took_ms = 1001;
    assert_non_null(strstr(judge(world, "dns", DOCTOR_NOTE)->text, "slow"));
}

static void test_plaintext(void **state)
{
    struct world *world = *state;
    reach_tcp(world);
    dial(world);
    world->facts.secure = false;
    world->facts.dial.ended = true;
    world->facts.dial.end_phase = NET_PHASE_TCP;
    world->facts.dial.end =
        (struct profile_end){.kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP};
    assert_non_null(strstr(judge(world, "tcp", DOCTOR_ILL)->fix, "plaintext = yes"));
    world->facts.plaintext = true;
    assert_null(strstr(judge(world, "tcp", DOCTOR_ILL)->fix, "plaintext = yes"));
}

static void test_certificates_that_end(void **state)
{
    static const struct {
        int64_t left_s;
        bool said;
    } rows[] = {{14 * 86400, false}, {14 * 86400 - 1, true}, {60, true}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        reach_tcp(world);
        dial(world);
        world->facts.dial.opened = world->facts.dial.live = true;
        world->facts.dial.n_chain = 1;
        world->facts.dial.chain[0].valid_to_s = world->facts.now_s + rows[i].left_s;
        assert_int_equal(judge(world, "tls", DOCTOR_NOTE) != NULL, rows[i].said);
    }
}

static void test_idle_cut_and_pings(void **state)
{
    struct world *world = *state;
    reach_tcp(world);
    dial(world);
    struct doctor_dial *facts = &world->facts.dial;
    facts->opened = facts->live = facts->ended = true;
    facts->end = (struct profile_end){.kind = PROFILE_END_CLOSE, .code = 1006};
    /* scaiwave pings each 15 s. */
    facts->listening.silent_ms = 20000;
    assert_non_null(strstr(judge(world, "listen", DOCTOR_ILL)->fix, "nothing: hawserd pings each"));
    facts->listening.silent_ms = 10000;
    assert_non_null(strstr(judge(world, "listen", DOCTOR_ILL)->fix, "heartbeat.ws_ping = 5s"));
    facts->listening.silent_ms = 1500;
    assert_non_null(strstr(judge(world, "listen", DOCTOR_ILL)->fix, "heartbeat.ws_ping = 750ms"));
}

static void test_backends(void **state)
{
    struct world *world = *state;
    reach_tcp(world);
    for (unsigned i = 0; i < 3; i++)
        world->facts.visits[i] = (struct doctor_visit){.opened = true, .live = true};
    world->facts.n_visits = 3;
    assert_non_null(strstr(judge(world, "dials", DOCTOR_WELL)->text, "3 of 3"));
    /* The link is well, and the request lands where nobody knows of it. */
    world->facts.visits[1].sync_tried = true;
    world->facts.visits[1].sync_status = 404;
    const struct doctor_finding *finding = judge(world, "dials", DOCTOR_ILL);
    assert_non_null(strstr(finding->text, "2 of 3"));
    assert_non_null(strstr(finding->cause, "no affinity cookie"));
    snprintf(world->facts.visits[0].cookies, 8, "pod=***");
    assert_null(strstr(judge(world, "dials", DOCTOR_ILL)->cause, "no affinity cookie"));
}

static void test_findings_have_a_bound(void **state)
{
    struct doctor_report *report = calloc(1, sizeof(*report));
    (void)state;
    for (unsigned i = 0; i < DOCTOR_FINDINGS; i++)
        doctor_say(report, "x", DOCTOR_WELL, "%u", i);
    assert_int_equal(report->n, DOCTOR_FINDINGS);
    assert_int_equal(report->left_out, 0);
    assert_false(report->ill);
    /* One more: it is counted, and a fault stays a fault. */
    doctor_say(report, "x", DOCTOR_ILL, "one more");
    assert_int_equal(report->n, DOCTOR_FINDINGS);
    assert_int_equal(report->left_out, 1);
    assert_true(report->ill);
    free(report);
}

static void test_explanations(void **state)
{
    struct doctor_finding finding = {.layer = "x"};
    (void)state;
    doctor_explain(&finding, NULL);
    assert_string_equal(finding.cause, "");
    doctor_explain(&finding, "it rained. Fix: take an umbrella");
    assert_string_equal(finding.cause, "it rained");
    assert_string_equal(finding.fix, "take an umbrella");
    doctor_explain(&finding, "it rained");
    assert_string_equal(finding.cause, "it rained");
    assert_string_equal(finding.fix, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_address_of_two),
        cmocka_unit_test(test_slow_names),
        cmocka_unit_test(test_plaintext),
        cmocka_unit_test(test_certificates_that_end),
        cmocka_unit_test(test_idle_cut_and_pings),
        cmocka_unit_test(test_backends),
        cmocka_unit_test(test_findings_have_a_bound),
        cmocka_unit_test(test_explanations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
