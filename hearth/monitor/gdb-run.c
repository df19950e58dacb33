/* Breakpoints, watchpoints, steps, and telling gdb why the machine stands. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "monitor/gdb-internal.h"

enum action { ACTION_NONE, ACTION_STEP, ACTION_CONTINUE };

/* Thread ids are CPU numbers from 1. */
void gdb_stop_reply(struct gdb *gdb, unsigned cpu, int signal, const struct debug_hit *hit)
{
    gdb->cpu = cpu;
    gdb_reply(gdb, "T%02xthread:%x;", (unsigned)signal, cpu + 1);
    if (hit && hit->kind == DEBUG_WRITE)
        gdb_reply(gdb, "watch:%llx;", (unsigned long long)hit->address);
    else if (hit && hit->kind == DEBUG_READ)
        gdb_reply(gdb, "rwatch:%llx;", (unsigned long long)hit->address);
    else if (hit && hit->kind == DEBUG_ACCESS)
        gdb_reply(gdb, "awatch:%llx;", (unsigned long long)hit->address);
}

/* ---- breakpoints and watchpoints */

static bool points_set(struct gdb *gdb, enum action only, unsigned stepping)
{
    bool taken = true;
    for (unsigned i = 0; i < machine_cpus(gdb->machine); i++) {
        struct engine_debug debug = gdb->points;
        debug.step = only == ACTION_STEP && i == stepping;
        taken &= machine_debug(gdb->machine, i, debug.step || debug.count ? &debug : NULL);
    }
    return taken;
}

static int point_index(const struct gdb *gdb, const struct debug_point *point)
{
    for (unsigned i = 0; i < gdb->points.count; i++)
        if (gdb->points.point[i].kind == point->kind && gdb->points.point[i].address == point->address)
            return (int)i;
    return -1;
}

void gdb_point_change(struct gdb *gdb, const char *at, bool insert)
{
    static const enum debug_kind kinds[] = {DEBUG_EXECUTE, DEBUG_EXECUTE, DEBUG_WRITE, DEBUG_READ,
                                            DEBUG_ACCESS};
    uint64_t type, address, size;
    if (!gdb_take_number(&at, &type) || !gdb_take(&at, ',') || !gdb_take_number(&at, &address) ||
        !gdb_take(&at, ',') || !gdb_take_number(&at, &size)) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    if (type >= sizeof(kinds) / sizeof(kinds[0]))
        return; /* an empty reply: not known here */
    struct engine_debug before = gdb->points;
    struct debug_point point = {kinds[type], address, size && size < PAGE_SIZE ? (unsigned)size : 1};
    int found = point_index(gdb, &point);
    if (insert && found < 0) {
        if (gdb->points.count == DEBUG_POINTS) {
            gdb_reply_error(gdb, ERROR_INVALID);
            return;
        }
        gdb->points.point[gdb->points.count++] = point;
    } else if (!insert && found >= 0) {
        gdb->points.point[found] = gdb->points.point[--gdb->points.count];
    }
    if (points_set(gdb, ACTION_NONE, 0)) {
        gdb_reply(gdb, "OK");
        return;
    }
    gdb->points = before;
    points_set(gdb, ACTION_NONE, 0);
    gdb_reply_error(gdb, ERROR_INVALID);
}

/* ---- running */

static bool still_wanted(const struct gdb *gdb, const struct debug_hit *hit)
{
    struct debug_point point = {hit->kind, hit->address, 0};
    return hit->kind == DEBUG_STEP || point_index(gdb, &point) >= 0;
}

static bool ended(const struct gdb *gdb)
{
    enum machine_status status = machine_status(gdb->machine);
    return status == MACHINE_SHUTDOWN || status == MACHINE_TRIPLE_FAULT || status == MACHINE_INTERNAL_ERROR;
}

/* Another CPU may have hit something at the same moment: that is told before anything runs. */
static void go_on(struct gdb *gdb, const enum action *actions)
{
    unsigned cpu, stepping = 0;
    struct debug_hit hit;
    enum action kind = ACTION_NONE;

    while (machine_debug_hit(gdb->machine, &cpu, &hit))
        if (hit.kind != DEBUG_STEP && still_wanted(gdb, &hit)) {
            gdb_stop_reply(gdb, cpu, SIGNAL_TRAP, &hit);
            return;
        }
    if (ended(gdb)) {
        gdb_reply(gdb, "W00");
        return;
    }
    for (unsigned i = 0; i < machine_cpus(gdb->machine); i++) {
        machine_hold_cpu(gdb->machine, i, actions[i] == ACTION_NONE);
        if (actions[i] == ACTION_STEP)
            stepping = i;
        if (kind != ACTION_STEP)
            kind = actions[i];
    }
    if (kind == ACTION_NONE || !points_set(gdb, kind, stepping)) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    gdb->waiting = true;
    gdb->asked = false;
    machine_continue(gdb->machine);
}

/* c, s, C, S: one CPU steps, or all go on. */
void gdb_resume(struct gdb *gdb, bool step)
{
    enum action *actions = allocate(machine_cpus(gdb->machine) * sizeof(*actions));
    for (unsigned i = 0; i < machine_cpus(gdb->machine); i++)
        actions[i] = step && i == gdb->cpu ? ACTION_STEP : ACTION_CONTINUE;
    go_on(gdb, actions);
    free(actions);
}

/* vCont;ACTION[:THREAD];...: the first that fits a thread counts. */
void gdb_resume_each(struct gdb *gdb, const char *at)
{
    unsigned cpus = machine_cpus(gdb->machine);
    enum action *actions = allocate(cpus * sizeof(*actions));
    while (gdb_take(&at, ';')) {
        enum action action = strchr("sS", *at)   ? ACTION_STEP
                             : strchr("cC", *at) ? ACTION_CONTINUE
                                                 : ACTION_NONE;
        uint64_t thread = 0, signal;
        bool with_signal = isupper((unsigned char)*at), all;
        if (!*at)
            break;
        at++;
        if (with_signal)
            gdb_take_number(&at, &signal);
        all = !gdb_take(&at, ':') || gdb_take_text(&at, "-1") || !gdb_take_number(&at, &thread) || !thread;
        for (unsigned i = 0; i < cpus; i++)
            if (actions[i] == ACTION_NONE && (all || thread == i + 1))
                actions[i] = action;
    }
    go_on(gdb, actions);
    free(actions);
}

void gdb_happened(void *opaque, const struct machine_happening *happening)
{
    struct gdb *gdb = opaque;
    unsigned cpu = gdb->cpu;
    struct debug_hit hit;

    if (!gdb->connected || !gdb->waiting)
        return;
    if (happening->event == MACHINE_EVENT_SHUTDOWN) {
        gdb_reply(gdb, "W00");
    } else if (happening->event != MACHINE_EVENT_STOP) {
        return;
    } else if (machine_debug_hit(gdb->machine, &cpu, &hit)) {
        gdb_stop_reply(gdb, cpu, SIGNAL_TRAP, &hit);
    } else {
        gdb_stop_reply(gdb, cpu, gdb->asked ? SIGNAL_INT : SIGNAL_TRAP, NULL);
    }
    gdb->waiting = false;
    gdb_reply_send(gdb);
}

void gdb_let_go(struct gdb *gdb)
{
    gdb->points.count = 0;
    for (unsigned i = 0; i < machine_cpus(gdb->machine); i++) {
        machine_debug(gdb->machine, i, NULL);
        machine_hold_cpu(gdb->machine, i, false);
    }
    gdb->waiting = false;
}
