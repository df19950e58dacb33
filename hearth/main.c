/* hearth: options -> engine -> machine -> run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "commands/commands.h"
#include "core/lock.h"
#include "core/log.h"
#include "display/terminal.h"
#include "display/vnc.h"
#include "host/character.h"
#include "host/daemon.h"
#include "host/loop.h"
#include "host/terminal.h"
#include "machine/machine.h"
#include "monitor/gdb.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"
#include "options/options.h"

struct session {
    struct machine_config config;
    struct loop *loop;
    struct terminal *terminal;
    struct machine_ports ports;
    struct character_port *monitor_port;
    struct machine *machine;
    struct monitor *monitor;
    struct character_port *qmp_port[QMPS_MOST];
    struct qmp *qmp[QMPS_MOST];
    struct character_port *gdb_port;
    struct gdb *gdb;
    struct terminal_display *display;
    struct vnc_server *vnc;
    int signals;
};

/* Descriptors 0 to 2 that the caller closed would be given to the next file that is opened, a disk image even. */
static void standard_descriptors_open(void)
{
    int descriptor;
    do
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor > STDERR_FILENO)
        close(descriptor);
}

/* ---- signals: SIGTERM, SIGINT and SIGHUP end hearth in order; every thread has them blocked */

static void signal_arrived(void *opaque, int descriptor, short revents)
{
    struct session *session = opaque;
    struct signalfd_siginfo info;
    char path[64], command[64] = "?";
    (void)revents;

    if (read(descriptor, &info, sizeof(info)) != sizeof(info))
        return;
    snprintf(path, sizeof(path), "/proc/%u/comm", info.ssi_pid);
    FILE *file = fopen(path, "re");
    if (file && fgets(command, sizeof(command), file))
        command[strcspn(command, "\n")] = '\0';
    if (file)
        fclose(file);
    terminal_restore();
    warn("terminating on signal %u from pid %u (%s)", info.ssi_signo, info.ssi_pid, command);
    machine_quit(session->machine, EXIT_POWERED_OFF, "host-signal");
}

static void signals_set(struct session *session)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of write() */
    signal(SIGXFSZ, SIG_IGN); /* and a file that may not grow too */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    session->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signals < 0)
        die("cannot receive signals: %s", strerror(errno));
}

/* ---- which engine */

static const struct engine_ops *engine_of(const struct machine_config *config)
{
    struct kvm_verdict verdict;
    if (config->accelerator == ACCEL_KVM)
        return &engine_kvm;
    if (config->accelerator == ACCEL_SOFT || config->deterministic)
        return &engine_soft;
    kvm_judge(&verdict, false);
    warn("%s: %s", verdict.usable ? "running on KVM" : "running on the software CPU", verdict.reason);
    return verdict.usable ? &engine_kvm : &engine_soft;
}

static const struct engine_ops *engine_choose(struct machine_config *config)
{
    const struct engine_ops *ops = engine_of(config);
    if (config->cpus > ops->cpus_most) {
        warn("-smp %u: the %s engine runs %u CPU, so the guest gets that", config->cpus, ops->name,
             ops->cpus_most);
        config->cpus = config->cpus_most = ops->cpus_most;
        config->topology = (struct topology){1, 1, 1, 1};
    }
    return ops;
}

/* ---- who uses the terminal */

/* Fills in what -nographic, -display and the defaults mean for the host ends. */
static void ends_settle(struct session *session)
{
    struct machine_config *config = &session->config;
    struct settings *chardevs = config->chardevs;
    bool taken = character_uses_terminal(chardevs, config->monitor) ||
                 character_uses_terminal(chardevs, config->debugcon) ||
                 character_uses_terminal(chardevs, config->gdb);
    for (unsigned i = 0; i < config->qmps; i++)
        taken = taken || character_uses_terminal(chardevs, config->qmp[i]);
    for (unsigned i = 0; i < SERIALS; i++)
        taken = taken || character_uses_terminal(chardevs, config->serial[i]);

    if (config->nographic) {
        config->display = DISPLAY_NONE;
        if (!config->serial[0] && !taken)
            config->serial[0] = "mon:stdio";
    }
    if (config->display == DISPLAY_DEFAULT)
        config->display = !taken && !config->vnc && terminal_is_interactive(session->terminal)
                              ? DISPLAY_TERMINAL
                              : DISPLAY_NONE;
    bool shares = config->display == DISPLAY_TERMINAL;
    for (unsigned i = 0; i < SERIALS; i++)
        shares = shares || (config->serial[i] && !strcmp(config->serial[i], "mon:stdio"));
    if (!config->monitor && shares)
        config->monitor = "mon:stdio";
}

static struct character_port *end_open(struct session *session, const char *label, const char *specification)
{
    char error[512];
    if (!specification || !strcmp(specification, "none"))
        return NULL;
    struct character_port *port =
        character_open(session->ports.characters, label, specification, error, sizeof(error));
    if (!port)
        die("%s", error);
    return port;
}

static void ends_open(struct session *session)
{
    static const char *const labels[SERIALS] = {"serial0", "serial1"};
    char error[512];
    session->ports.characters =
        characters_create(session->loop, session->terminal, session->config.chardevs, error, sizeof(error));
    if (!session->ports.characters)
        die("%s", error);
    for (unsigned i = 0; i < SERIALS; i++)
        session->ports.serial[i] = end_open(session, labels[i], session->config.serial[i]);
    session->ports.debugcon = end_open(session, "debugcon", session->config.debugcon);
}

/* The monitor's first: the terminal would go on to it and greet, and it is gone. */
static void ends_close(struct session *session)
{
    character_close(session->monitor_port);
    for (unsigned i = 0; i < session->config.qmps; i++)
        character_close(session->qmp_port[i]);
    character_close(session->gdb_port);
    for (unsigned i = 0; i < SERIALS; i++)
        character_close(session->ports.serial[i]);
    character_close(session->ports.debugcon);
    characters_destroy(session->ports.characters);
}

static void display_open(struct session *session)
{
    char error[256];
    if (session->config.display != DISPLAY_TERMINAL)
        return;
    if (!machine_display(session->machine))
        die("-display terminal: there is no display adapter (-vga none)");
    session->display =
        terminal_display_create(session->terminal, session->loop, machine_display(session->machine),
                                machine_input(session->machine), error, sizeof(error));
    if (!session->display)
        die("-display terminal: %s", error);
}

static void vnc_open(struct session *session)
{
    const struct vnc_guest guest = {session->loop, machine_display(session->machine),
                                    machine_input(session->machine), session->config.name};
    struct settings *settings = session->config.vnc;
    char error[512];
    if (!settings)
        return;
    if (!guest.source)
        die("-vnc: there is no display adapter (-vga none)");
    session->vnc = vnc_server_create(&guest, settings, error, sizeof(error));
    if (!session->vnc)
        settings_refuse(settings, "%s", error);
    if (settings_error(settings))
        die("%s", settings_error(settings));
    machine_set_vnc(session->machine, session->vnc);
}

static void monitor_open(struct session *session)
{
    session->monitor_port = end_open(session, "monitor", session->config.monitor);
    if (!session->monitor_port)
        return;
    session->monitor = monitor_create(session->machine, session->monitor_port);
    character_on_connect(session->monitor_port, monitor_greet, session->monitor);
}

static void qmps_open(struct session *session)
{
    char error[256];
    for (unsigned i = 0; i < session->config.qmps; i++) {
        struct character_port *port = end_open(session, "qmp", session->config.qmp[i]);
        if (!port)
            continue;
        session->qmp_port[i] = port;
        session->qmp[i] = qmp_create(session->machine, port, error, sizeof(error));
        if (!session->qmp[i])
            die("-qmp %s: %s", session->config.qmp[i], error);
        character_on_connect(port, qmp_greet, session->qmp[i]);
    }
}

/* gdb's server waits for nobody, and without a host it is there for this one alone: who reaches it owns the guest. */
static void gdb_open(struct session *session)
{
    const char *given = session->config.gdb;
    bool is_tcp = given && !strncmp(given, "tcp:", 4),
         is_socket = is_tcp || (given && !strncmp(given, "unix:", 5));
    char specification[512];

    if (!given)
        return;
    snprintf(specification, sizeof(specification), "%s%s%s", is_tcp && given[4] == ':' ? "tcp:127.0.0.1" : "",
             is_tcp && given[4] == ':' ? given + 4 : given,
             is_socket && !strstr(given, ",server") ? ",server=on,wait=off" : "");
    session->gdb_port = end_open(session, "gdb", specification);
    if (!session->gdb_port)
        return;
    session->gdb = gdb_create(session->machine, session->gdb_port);
    character_on_connect(session->gdb_port, gdb_connected, session->gdb);
}

static void quit_typed(void *opaque)
{
    struct session *session = opaque;
    machine_quit(session->machine, EXIT_POWERED_OFF, "host-ui");
}

/* ---- */

static void session_open(struct session *session)
{
    session->loop = loop_create(&machine_mutex);
    if (!session->loop)
        die("cannot create an event loop: %s", strerror(errno));
    signals_set(session);
    machine_lock();
    session->terminal = terminal_create(session->loop);
    log_before_exit = terminal_restore;
    ends_settle(session);
    ends_open(session);
    machine_unlock();

    session->machine =
        machine_create(&session->config, engine_choose(&session->config), &session->ports, session->loop);

    machine_lock();
    terminal_set_escapes(session->terminal,
                         &(struct terminal_escapes){.opaque = session, .quit = quit_typed});
    display_open(session);
    vnc_open(session);
    monitor_open(session);
    qmps_open(session);
    gdb_open(session);
    loop_watch(session->loop, session->signals, POLLIN, signal_arrived, session);
    if (!session->config.start_stopped)
        machine_continue(session->machine);
    machine_unlock();
}

/* The machine goes before the host ends that its parts are joined to; what is to be said of its end comes last, on a
 * terminal that is the user's again. */
static int session_close(struct session *session)
{
    int status = machine_exit_status(session->machine);
    const char *words = machine_last_words(session->machine);
    char *last_words = words && !session->config.no_shutdown ? strdup(words) : NULL;

    vnc_server_destroy(session->vnc);
    machine_lock();
    terminal_display_destroy(session->display);
    monitor_destroy(session->monitor);
    for (unsigned i = 0; i < QMPS_MOST; i++)
        qmp_destroy(session->qmp[i]);
    gdb_destroy(session->gdb);
    machine_unlock();
    machine_destroy(session->machine);
    machine_lock();
    ends_close(session);
    terminal_destroy(session->terminal);
    machine_unlock();
    loop_destroy(session->loop);
    if (last_words)
        fputs(last_words, stderr);
    free(last_words);
    return status;
}

static void background_prepare(struct session *session)
{
    const struct machine_config *config = &session->config;
    if (config->daemonize && (config->nographic || config->display == DISPLAY_TERMINAL))
        die("-daemonize: %s needs a terminal, which a process in the background has not",
            config->nographic ? "-nographic" : "-display terminal");
    if (config->daemonize && !daemon_start())
        die("-daemonize: %s", strerror(errno));
    if (config->daemonize)
        session->config.display = DISPLAY_NONE;
}

/* Everything is set up. */
static void background_enter(const struct session *session)
{
    char error[512];
    if (session->config.pidfile && !pidfile_create(session->config.pidfile, error, sizeof(error)))
        die("%s", error);
    daemon_ready();
}

int main(int argc, char **argv)
{
    struct session session = {0};

    int answer;

    standard_descriptors_open();
    if (command_run(argc, argv, &answer))
        return answer;
    options_parse(&session.config, argc, argv);
    if (machine_help(&session.config))
        return 0;
    log_mask = session.config.log_mask;
    if (session.config.log_file && !log_open(session.config.log_file))
        die("-D %s: %s", session.config.log_file, strerror(errno));
    background_prepare(&session);
    session_open(&session);
    background_enter(&session);
    loop_run(session.loop);
    int status = session_close(&session);
    pidfile_remove(session.config.pidfile);
    options_free(&session.config);
    return status;
}
