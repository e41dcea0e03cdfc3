/* What a support ticket needs, in one text file; and what the daemon says of the stream. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "ctl/doctor.h"
#include "wire/libraries.h"
#include "json/json.h"

/* ---- the daemon ---- */

static void take_status(struct doctor_daemon *out, struct slice answer)
{
    struct json_paths *paths;
    struct json_value slots[3];
    unsigned slot;
    struct buf state;
    if (json_paths_new(&paths) != 0)
        return;
    buf_init(&state, sizeof(out->state) - 1);
    if (json_paths_add(paths, SLICE("/streams/0/state"), &slot, NULL) == 0 &&
        json_paths_add(paths, SLICE("/streams/0/link"), &slot, NULL) == 0 &&
        json_scan(paths, answer, slots, NULL) == 0 && slots[0].type == JSON_STRING &&
        json_string_decode(&slots[0], &state) == 0) {
        out->has_stream = true;
        out->link = slots[1].type == JSON_STRING;
        snprintf(out->state, sizeof(out->state), "%s", buf_cstr(&state));
    }
    buf_fini(&state);
    json_paths_free(paths);
}

/* Its control socket, where the configuration puts it and the command line names none. */
static int open_daemon(const struct doctor *doctor, struct connection *connection,
                       struct error *err)
{
    const struct settings *settings = doctor->configuration.settings;
    char path[PATH_MAX];
    if (ctl_option(doctor->ctl, "socket") != NULL || settings == NULL)
        return connection_open(connection, doctor->ctl->socket, err);
    snprintf(path, sizeof(path), "%s/control.sock", settings->daemon.runtime_dir);
    return connection_open(connection, path, err);
}

void doctor_ask_daemon(struct doctor *doctor)
{
    struct doctor_daemon *out = &doctor->facts.daemon;
    struct connection connection;
    struct error err = {0};
    struct buf request;
    struct slice answer;
    if (doctor->own_settings != NULL)
        return; /* an address is no stream of it */
    out->asked = true;
    buf_init(&out->status, CTL_LINE_MAX);
    if (open_daemon(doctor, &connection, &err) != 0) {
        snprintf(out->error, sizeof(out->error), "%.190s", err.text);
        return;
    }
    out->reachable = true;
    buf_init(&request, LIMIT_LINE_IN);
    if (buf_append_str(&request, "{\"op\":\"status\",\"stream\":") == 0 &&
        json_write_string(&request, slice_str(doctor->stream->name)) == 0 &&
        buf_append_str(&request, "}\n") == 0 &&
        connection_send(&connection, buf_slice(&request), &err) == 0 &&
        connection_line(&connection, CTL_ANSWER_SECONDS * 1000, &answer, &err) == 0 &&
        buf_append_slice(&out->status, answer) == 0)
        take_status(out, answer);
    buf_fini(&request);
    connection_close(&connection);
}

/* ---- the bundle ---- */

static int append_time(struct buf *out, const char *what, int64_t us)
{
    char text[32];
    if (us == 0)
        return 0;
    time_format_us(us, text);
    return buf_appendf(out, "%s %s\n", what, text);
}

static int append_versions(struct buf *out)
{
    struct utsname system;
    char tls[32], wire[100];
    tls_library(tls, sizeof(tls));
    wire_libraries(wire, sizeof(wire));
    int rc =
        buf_appendf(out, "hawser %s, %s, libuv %s, %s\n", HAWSER_VERSION, tls, io_library(), wire);
    if (rc == 0 && uname(&system) == 0)
        rc = buf_appendf(out, "%s %s %s\n", system.sysname, system.release, system.machine);
    return rc;
}

static int append_link(const struct doctor_dial *dial, struct buf *out)
{
    char what[64];
    int rc =
        buf_appendf(out, "\n== the link\nid %s\n", dial->tried ? dial->id : "(none was tried)");
    if (!dial->tried)
        return rc;
    if (rc == 0)
        rc = append_time(out, "begun", dial->began_us);
    if (rc == 0)
        rc = append_time(out, "ended", dial->ended_us);
    profile_end_describe(&dial->end, what, sizeof(what));
    if (rc == 0 && dial->ended)
        rc = buf_appendf(out, "end %s%s%s%s\n", what, dial->end.text[0] != '\0' ? ": " : "",
                         dial->end.text, dial->end.local ? " (by us)" : "");
    if (rc == 0)
        rc = buf_appendf(out, "\n== the handshake, ours\n" SLICE_FMT,
                         SLICE_ARG(buf_slice(&dial->request)));
    if (rc == 0)
        rc = buf_appendf(out, "\n== the handshake, theirs\nstatus %d\n" SLICE_FMT,
                         dial->http_status, SLICE_ARG(buf_slice(&dial->headers)));
    return rc;
}

/* The keys that only the profile knows stand as they were written; secrets are sources there. */
static int append_stream(const struct doctor *doctor, struct buf *out)
{
    const struct settings_stream *stream = doctor->stream;
    int rc = buf_appendf(out, "\n== the stream\nprofile = %s\n", doctor->profile->name);
    for (size_t i = 0; rc == 0 && i < stream->n_rest; i++)
        rc = buf_appendf(out, "%s = %s\n", stream->rest[i]->key, stream->rest[i]->value);
    if (rc == 0)
        rc = buf_appendf(out, "tls_ca = %s\nproxy = %s\nplaintext = %s\ndeflate = %s\n",
                         stream->tls_ca != NULL ? stream->tls_ca : "(the system's)",
                         stream->proxy != NULL ? stream->proxy : "(the environment's)",
                         stream->plaintext ? "yes" : "no", stream->deflate ? "yes" : "no");
    return rc;
}

static int append_all(const struct doctor *doctor, struct buf *out)
{
    const struct doctor_daemon *daemon = &doctor->facts.daemon;
    int rc =
        buf_append_str(out, "hawserctl doctor: what a support ticket needs. Secrets are ***.\n");
    if (rc == 0)
        rc = append_time(out, "written", io_wall_us());
    if (rc == 0)
        rc = append_versions(out);
    if (rc == 0)
        rc = buf_append_str(out, "\n== the walk\n");
    if (rc == 0)
        doctor_print(doctor, out, false);
    if (rc == 0)
        rc = append_link(&doctor->facts.dial, out);
    if (rc == 0)
        rc = append_stream(doctor, out);
    if (rc == 0 && daemon->asked)
        rc = buf_appendf(out, "\n== hawserd's status of it\n" SLICE_FMT "%s\n",
                         SLICE_ARG(buf_slice(&daemon->status)), daemon->error);
    if (rc == 0)
        rc = buf_append_str(out, "\n== the walk, for programs\n");
    return rc != 0 ? rc : doctor_json(doctor, out);
}

static int write_file(const char *path, struct slice text, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(err, error_from_errno(errno), "%s: %s%s", path, strerror(errno),
                         errno == EEXIST ? "; name another file" : "");
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        text = slice_from(text, (size_t)n);
    }
    int rc =
        text.len > 0 ? error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno)) : 0;
    if (close(fd) != 0 && rc == 0)
        rc = error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    if (rc != 0)
        unlink(path);
    return rc;
}

int doctor_bundle(struct doctor *doctor, struct error *err)
{
    struct buf text;
    buf_init(&text, DOCTOR_BUNDLE_MAX);
    int rc = append_all(doctor, &text);
    if (rc != 0)
        error_set(err, rc, "bundle: %s", error_text(rc));
    /* Whatever found its way in here, by whichever door. */
    if (rc == 0) {
        redact_text(&doctor->redact, (char *)buf_cstr(&text));
        rc = write_file(doctor->options.bundle, slice_str(text.data), err);
    }
    buf_fini(&text);
    return rc;
}
