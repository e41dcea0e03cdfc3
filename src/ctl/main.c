/* hawserctl: options, then the command. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/suggest.h"
#include "ctl/ctl.h"

static const char usage[] =
    "usage: hawserctl [--socket PATH] [--json] COMMAND\n"
    "\n"
    "  status [STREAM]        streams: state, since when, why, what next\n"
    "  tail [STREAM...]       print events as they come\n"
    "       --from now|oldest|SEQ|cursor  --type GLOB  --count N  --payload  --notices\n"
    "       --consumer NAME  --ack (what is printed)\n"
    "  consumers              the named consumers, and how far each is behind\n"
    "       forget NAME  seek NAME SEQ|oldest|newest\n"
    "  reconnect STREAM       drop the link or cut the wait, and dial now\n"
    "  pause STREAM           close the link and stay away; resume STREAM ends that\n"
    "  send STREAM TEXT|-     send a text to the service; - reads it from standard input\n"
    "without a daemon:\n"
    "  check [--config FILE]  read configuration and profiles, tell every error\n"
    "  profiles [show NAME]   list the profiles, or print one\n"
    "  doctor STREAM|URL      walk to the service, layer by layer, and say what is not well\n"
    "       --profile NAME  --config FILE  --listen 60s  --dials N  --curl  --bundle FILE\n"
    "\n"
    "  --socket PATH          default " CTL_DEFAULT_SOCKET "\n"
    "  --json                 one JSON document (tail: one a line)\n"
    "exit status: 0 ok, 1 not well, 2 usage, 3 hawserd not reachable\n";

int ctl_usage(const char *complaint)
{
    fprintf(stderr, "hawserctl: %s\n%s", complaint, usage);
    return CTL_USAGE;
}

static const struct command {
    const char *name;
    int (*run)(struct ctl *ctl);
} commands[] = {
    {"status", ctl_status},     {"tail", ctl_tail},           {"reconnect", ctl_control},
    {"pause", ctl_control},     {"resume", ctl_control},      {"check", ctl_check},
    {"profiles", ctl_profiles}, {"consumers", ctl_consumers}, {"send", ctl_send},
    {"doctor", ctl_doctor},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

int ctl_show_reply(const struct ctl *ctl, struct slice reply)
{
    int result = slice_starts_with(reply, SLICE("{\"ok\"")) ? CTL_OK : CTL_NOT_WELL;
    if (ctl->json || result != CTL_OK)
        fprintf(result == CTL_OK ? stdout : stderr, "%.*s\n", (int)reply.len, reply.ptr);
    return result;
}

int ctl_control(struct ctl *ctl)
{
    struct connection connection;
    struct slice reply;
    if (ctl->argc != 2)
        return ctl_usage("this command takes one stream");
    if (connection_ask(&connection, ctl, ctl->argv[0], ctl->argv[1], &reply) != CTL_OK)
        return CTL_UNREACHABLE;
    int result = ctl_show_reply(ctl, reply);
    connection_close(&connection);
    return result;
}

static int dispatch(struct ctl *ctl)
{
    const char *names[N_COMMANDS];
    char complaint[256];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(ctl->argv[0], commands[i].name) == 0)
            return commands[i].run(ctl);
        names[i] = commands[i].name;
    }
    const char *near = suggest(slice_str(ctl->argv[0]), names, N_COMMANDS);
    snprintf(complaint, sizeof(complaint), "unknown command %.100s%s%s%s", ctl->argv[0],
             near != NULL ? "; did you mean " : "", near != NULL ? near : "",
             near != NULL ? "?" : "");
    return ctl_usage(complaint);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    struct ctl ctl = {.socket = CTL_DEFAULT_SOCKET};
    int option;
    while ((option = getopt_long(argc, argv, "+s:jh", options, NULL)) != -1) {
        switch (option) {
        case 's':
            ctl.socket = optarg;
            break;
        case 'j':
            ctl.json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return CTL_OK;
        case 'v':
            printf("hawserctl %s\n", HAWSER_VERSION);
            return CTL_OK;
        default:
            return ctl_usage("bad option");
        }
    }
    if (optind >= argc)
        return ctl_usage("no command");
    ctl.argc = argc - optind;
    ctl.argv = argv + optind;
    ctl.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    return dispatch(&ctl);
}
