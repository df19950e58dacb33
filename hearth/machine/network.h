/*
 * The machine's networks: the backends that -netdev, -nic and -net describe, and the cards that -nic and -net ask for, or
 * that every machine has unless told otherwise. Machine lock held.
 */
#ifndef MACHINE_NETWORK_H
#define MACHINE_NETWORK_H

#include "machine/attach.h"
#include "net/backend.h"

struct network;

/* Host trouble and bad settings end the program. The config, loop and clock outlive it. */
struct network *network_open(const struct machine_config *config, const struct net_host *host);
/* Without the cards, which are the PC's. */
void network_close(struct network *network);
/* The backend of this id, or NULL. */
struct net_port *network_port(struct network *network, const char *id);
/* The cards to attach, as -device would describe them. */
struct settings *network_cards(struct network *network);
/* Says which backends no card has taken. */
void network_check(const struct network *network);
/* Answers `-nic help`, `-netdev help` and the like on stdout. */
bool network_help(const struct machine_config *config);

/* `info network`, `info usernet`. */
void network_print(struct network *network, FILE *out);
void network_print_connections(struct network *network, FILE *out);
/* By the name of the card or the backend; false if there is none. */
bool network_set_link(struct network *network, const char *name, bool up);
/* The network of this id, or without one the first that forwards ports. False with one line in error. */
bool network_forward(struct network *network, const char *id, const char *rule, bool add, char *error,
                     size_t error_size);

#endif
