/*
 * What is kept of a credential: the format, damage of every kind, and a stop of the machine before
 * each system call of a write (a child that dies there), or a failure of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "reach/vault_file.h"

static int calls, stop_at; /* the call that fails, from 1 on; 0: none */
static bool dies;          /* there, instead of failing */

static bool stops(void)
{
    if (stop_at == 0 || ++calls != stop_at)
        return false;
    if (dies)
        _exit(9);
    errno = EIO;
    return true;
}

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return stops() ? (type)-1 : __real_##name args;                                            \
    }
WRAP(ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, close, (int fd), (fd))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))

static char dir[64], path[100];

static int set_up(void **state)
{
    strcpy(dir, "/tmp/hawser-vault-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/chat", dir);
    stop_at = 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[100];

    stop_at = 0;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void encode(struct buf *out, const char *value)
{
    const struct vault_head head = {
        .asks = 1, .sources_hash = 0xfedcba9876543210, .salt = {1, 2, 255}};
    const struct vault_kept token = {SLICE_INIT("token"), 0xFEDCBA9876543210, 1700000000,
                                     1700003600, slice_str(value)};
    const struct vault_kept refresh = {SLICE_INIT("refresh_token"), 1, -5, -1,
                                       SLICE_INIT("a\0b\n\xFF")};

    buf_init(out, VAULT_FILE_MAX);
    assert_int_equal(vault_file_begin(out, &head), 0);
    size_t before = out->len;
    assert_int_equal(vault_file_add(out, &token), 0);
    assert_true(out->len - before <= vault_file_room(5, strlen(value)));
    assert_int_equal(vault_file_add(out, &refresh), 0);
    assert_int_equal(vault_file_end(out), 0);
}

static struct buf seen;

static void on_kept(void *arg, const struct vault_kept *kept)
{
    buf_appendf(&seen, "[" SLICE_FMT " %llx %lld %lld %zu:", SLICE_ARG(kept->name),
                (unsigned long long)kept->source_hash, (long long)kept->obtained_s,
                (long long)kept->expires_s, kept->value.len);
    buf_append_slice(&seen, kept->value);
    buf_append_str(&seen, "]");
}

static int parse(struct slice text, struct vault_head *head, struct error *err)
{
    buf_init(&seen, BUF_UNBOUNDED);
    return vault_file_parse(text, head, on_kept, NULL, err);
}

static void test_round_trip(void **state)
{
    struct vault_head head;
    struct error err;
    struct buf text;

    encode(&text, "secret one");
    assert_int_equal(parse(buf_slice(&text), &head, &err), 0);
    assert_int_equal(head.asks, 1);
    assert_true(head.sources_hash == 0xfedcba9876543210);
    assert_int_equal(head.salt[2], 255);
    const struct slice expected = SLICE("[token fedcba9876543210 1700000000 1700003600 10:secret "
                                        "one][refresh_token 1 -5 -1 5:a\0b\n\xFF]");
    assert_true(slice_eq(buf_slice(&seen), expected));
    buf_fini(&seen);
    buf_fini(&text);
}

static void test_damage(void **state)
{
    static const char newer[] = "hawser-credentials 2\nasks 0\n";
    struct vault_head head;
    struct error err;
    struct buf text, other;

    encode(&text, "secret one");
    for (size_t i = 0; i < text.len; i++) {
        assert_int_equal(parse(slice_make(text.data, i), &head, &err), ERR_CORRUPT);
        buf_fini(&seen);
        text.data[i] ^= 1;
        assert_int_equal(parse(buf_slice(&text), &head, &err), ERR_CORRUPT);
        assert_int_equal(seen.len, 0);
        buf_fini(&seen);
        text.data[i] ^= 1;
    }
    buf_init(&other, BUF_UNBOUNDED);
    buf_append_str(&other, newer);
    vault_file_end(&other);
    assert_int_equal(parse(buf_slice(&other), &head, &err), ERR_FORMAT);
    buf_fini(&seen);
    buf_fini(&other);
    buf_fini(&text);
}

/* "old" or "new", whole; anything else fails. */
static const char *what_is_there(void)
{
    struct vault_head head;
    struct error err;
    struct buf text;
    const char *found;

    buf_init(&text, VAULT_FILE_MAX);
    if (vault_file_read(path, &text, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(parse(buf_slice(&text), &head, &err), 0);
    found = strstr(buf_cstr(&seen), "3:old") ? "old" : strstr(seen.data, "3:new") ? "new" : NULL;
    assert_non_null(found);
    buf_fini(&seen);
    buf_fini(&text);
    return found;
}

static void put(const char *value)
{
    struct error err;
    struct buf text;

    encode(&text, value);
    assert_int_equal(vault_file_write(path, buf_slice(&text), &err), 0);
    buf_fini(&text);
}

static void test_written_and_read(void **state)
{
    struct error err;
    struct stat st;
    struct buf text;

    buf_init(&text, VAULT_FILE_MAX);
    assert_int_equal(vault_file_read(path, &text, &err), ERR_NOTFOUND);
    buf_fini(&text);
    umask(0);
    put("old");
    put("new");
    umask(022);
    assert_string_equal(what_is_there(), "new");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    strcat(path, ".new");
    assert_int_equal(stat(path, &st), -1); /* nothing is left behind */
}

/* Before each call of a write the machine stops. */
static void test_stop_at_each_call(void **state)
{
    bool done = false;
    struct buf text;

    encode(&text, "new");
    put("old");
    for (int at = 1; !done; at++) {
        int status;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            dies = true;
            stop_at = at;
            _exit(vault_file_write(path, buf_slice(&text), NULL) == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        done = WEXITSTATUS(status) == 0;
        assert_true(done || WEXITSTATUS(status) == 9);
        assert_true(at > 3 || strcmp(what_is_there(), "old") == 0);
        (void)what_is_there();
        assert_true(at < 20);
    }
    assert_string_equal(what_is_there(), "new");
    buf_fini(&text);
}

static void test_failure_of_each_call(void **state)
{
    struct error err;
    struct buf text;
    int rc;

    encode(&text, "new");
    put("old");
    for (int at = 1;; at++) {
        calls = 0;
        stop_at = at;
        rc = vault_file_write(path, buf_slice(&text), &err);
        stop_at = 0;
        (void)what_is_there();
        if (rc == 0 && calls < at)
            break;
        assert_true(rc == 0 || err.text[0] != '\0');
        assert_true(at < 20);
    }
    assert_string_equal(what_is_there(), "new");
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_written_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_at_each_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_of_each_call, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
