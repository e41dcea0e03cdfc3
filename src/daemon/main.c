/* hawserd: arguments, configuration, exit status. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/generation.h"
#include "daemon/logfmt.h"

static const char usage[] =
    "usage: hawserd [--config FILE] [--check] [--version]\n"
    "\n"
    "Holds WebSocket feeds for local programs. Runs in the foreground. SIGHUP reads the\n"
    "configuration anew, as hawserctl reload does.\n"
    "  --config FILE  configuration, with conf.d beside it (default " CONFIGURATION_DEFAULT ")\n"
    "  --check        read the configuration and profiles, tell every error, and exit\n"
    "  --version      print the version and exit\n"
    "\n"
    "exit status: 0 clean stop, 78 configuration error, 64 wrong usage, 1 anything else (a stop\n"
    "that a disk which does not answer kept from being clean, too)\n";

struct arguments {
    const char *config;
    bool check;
};

/* Returns -1 to go on, else an exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->config = optarg;
            break;
        case 'k':
            out->check = true;
            break;
        case 'v':
            printf("hawserd %s\n", HAWSER_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "hawserd: unexpected argument %s\n%s", argv[optind], usage);
        return EX_USAGE;
    }
    return -1;
}

static void print_errors(const struct generation *generation)
{
    const struct diag *diag = generation != NULL ? generation->configuration.diag : NULL;
    const char *message;
    if (diag == NULL || diag_count(diag) == 0) {
        fputs("hawserd: out of memory\n", stderr);
        return;
    }
    for (size_t i = 0; (message = diag_get(diag, i)) != NULL; i++)
        fprintf(stderr, "%s\n", message);
    if (diag_left_out(diag) > 0)
        fprintf(stderr, "and %zu more\n", diag_left_out(diag));
}

/* What is counted here is an upper bound: each stream has links, requests and watches, each client
 * one. */
static rlim_t descriptors_needed(const struct settings *settings)
{
    rlim_t need = 64 + 64 + 8 * settings->n_streams; /* our own, and the control socket's clients */
    for (size_t i = 0; i < settings->n_listens; i++)
        need += settings->listens[i].max_clients + 2; /* itself, and its spare one */
    return need;
}

static void raise_descriptors(const struct settings *settings)
{
    struct rlimit limit;
    rlim_t need = descriptors_needed(settings);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < need)
        log_warning(
            NULL, NULL,
            "%llu open files are allowed, all clients and streams together need %llu: raise "
            "LimitNOFILE or lower max_clients",
            (unsigned long long)limit.rlim_max, (unsigned long long)need);
}

/* Memory holds secrets: no core file of it is left behind, and no other program of the same user
 * reads it. Root still can. What is made in the file system is ours alone until it is given away.
 */
static void keep_private(void)
{
    struct rlimit none = {0, 0};
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    umask(0077);
}

static int run(struct generation *generation)
{
    const struct settings *settings = generation->configuration.settings;
    struct daemon daemon;
    struct error err = {0};
    logfmt_levels(settings);
    keep_private();
    raise_descriptors(settings);
    if (daemon_start(&daemon, generation, &err) != 0) {
        log_error(NULL, NULL, "%s", err.text);
        return EXIT_FAILURE;
    }
    daemon_run(&daemon);
    struct generation *newest = generation_hold(daemon.generation); /* its levels are in use */
    daemon_fini(&daemon);
    log_notice(NULL, NULL, "stopped");
    generation_drop(newest);
    return EXIT_SUCCESS;
}

/* One that was closed would be given to the first file that is opened, and get what is meant for
 * standard error. */
static void open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.config = CONFIGURATION_DEFAULT};
    struct generation *generation = NULL;
    int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0)
        return status;
    open_standard();
    io_cloexec_all(); /* nothing that we were given goes on to a program of ours */
    logfmt_install();
    if (generation_load(arguments.config, &generation) != 0) {
        print_errors(generation);
        status = EX_CONFIG;
    } else if (arguments.check) {
        size_t n = generation->configuration.settings->n_streams;
        printf("%s: ok, %zu stream%s\n", arguments.config, n, n == 1 ? "" : "s");
        status = EXIT_SUCCESS;
    } else {
        status = run(generation);
    }
    generation_drop(generation);
    return status;
}
