/* The network cards among the drivers of -device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/e1000.h"
#include "devices/virtio-net.h"
#include "firmware/bios.h"
#include "machine/attach-parts.h"
#include "machine/network.h"

/* The port of netdev=, or NULL where there is none, or none that is free. */
static struct net_port *card_port(struct pc *pc, struct settings *settings)
{
    const char *id = settings_text(settings, "netdev", NULL);
    const char *driver = settings_text(settings, "driver", "");
    struct net_port *port = id ? network_port(pc->network, id) : NULL;

    if (id && !port)
        settings_refuse(settings, "Property '%s.netdev' can't find value '%s'", driver, id);
    if (!port || !port->card.receive)
        return port;
    settings_refuse(settings, "Property '%s.netdev' can't take value '%s', it's in use", driver, id);
    return NULL;
}

/* mac=, or the next of QEMU's row. */
static void card_address(struct pc *pc, struct settings *settings, uint8_t address[NET_ADDRESS_SIZE])
{
    static const uint8_t first[NET_ADDRESS_SIZE] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    const char *text = settings_text(settings, "mac", NULL);
    unsigned byte[NET_ADDRESS_SIZE];
    int end = 0;

    memcpy(address, first, sizeof(first));
    if (!text) {
        address[NET_ADDRESS_SIZE - 1] = (uint8_t)(address[NET_ADDRESS_SIZE - 1] + pc->network_cards_named++);
        return;
    }
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4], &byte[5],
               &end) != NET_ADDRESS_SIZE ||
        text[end]) {
        settings_refuse(settings, "Parameter 'mac' expects an address such as 52:54:00:12:34:56");
        return;
    }
    if (byte[0] & 1)
        settings_refuse(settings, "'%s' is a multicast address; a card's own is none", text);
    for (unsigned i = 0; i < NET_ADDRESS_SIZE; i++)
        address[i] = (uint8_t)byte[i];
}

/* The boot ROM, where one is wanted: by name, or because the machine is to boot from the network. */
static void card_rom(struct pc *pc, struct settings *settings, const char *usual, struct firmware *rom)
{
    const struct machine_config *config = pc->config;
    const char *file = settings_text(settings, "romfile", NULL);
    bool boots = config->boot_menu || (config->boot_order && strchr(config->boot_order, 'n')) ||
                 (config->boot_once && strchr(config->boot_once, 'n'));
    char error[512];

    if (file ? !*file : !boots || config->kernel)
        return;
    if (!firmware_load_rom(rom, file ? file : usual, error, sizeof(error)))
        settings_refuse(settings, "%s", error);
}

static void card_name(struct pc *pc, struct settings *settings, char *name, size_t size)
{
    const char *id = settings_text(settings, "id", NULL);
    if (id)
        snprintf(name, size, "%s", id);
    else
        snprintf(name, size, "%s.%u", settings_text(settings, "driver", ""), pc->network_cards++);
}

static void *e1000_attach(struct pc *pc, struct settings *settings)
{
    char name[40];
    struct firmware rom = {0};
    struct e1000_wiring wiring = {.pci = pc->pci, .clock = pc->clock, .name = name};
    struct pci_slot where;
    void *card = NULL;

    wiring.port = card_port(pc, settings);
    card_address(pc, settings, wiring.address);
    card_name(pc, settings, name, sizeof(name));
    card_rom(pc, settings, "pxe-e1000.rom", &rom);
    wiring.rom = rom.image;
    wiring.rom_size = rom.size;
    if (attach_slot(pc, settings, &where)) {
        wiring.slot = where.slot;
        wiring.function = where.function;
        wiring.multifunction = where.multifunction;
        if (!wiring.port)
            warn("nic %s has no peer", name);
        card = e1000_create(&wiring);
    }
    firmware_free(&rom);
    return card;
}

static void e1000_reset_device(void *card)
{
    e1000_reset(card);
}

static void e1000_detach(void *card)
{
    e1000_destroy(card);
}

const struct driver e1000_driver = {
    .name = "e1000",
    .bus = "PCI",
    .help = "network card, Intel 82540EM: netdev=, mac=, romfile=",
    .create = e1000_attach,
    .reset = e1000_reset_device,
    .destroy = e1000_detach,
};

/* ---- virtio-net-pci */

static void *virtio_net_attach(struct pc *pc, struct settings *settings)
{
    enum { VECTORS = 4 };
    uint8_t address[NET_ADDRESS_SIZE];
    char name[40];
    struct virtio_place place;
    struct net_port *port = card_port(pc, settings);

    card_address(pc, settings, address);
    card_name(pc, settings, name, sizeof(name));
    if (*settings_text(settings, "romfile", ""))
        settings_refuse(settings, "the virtio card has no boot ROM; an e1000 has");
    if (!attach_virtio(pc, settings, VECTORS, &place))
        return NULL;
    if (!port)
        warn("nic %s has no peer", name);
    return virtio_net_create(&place, port, address, name);
}

static void virtio_net_reset_device(void *card)
{
    virtio_net_reset(card);
}

static void virtio_net_detach(void *card)
{
    virtio_net_destroy(card);
}

const struct driver virtio_net_driver = {
    .name = "virtio-net-pci",
    .alias = "virtio-net",
    .bus = "PCI",
    .help = "network card: netdev=, mac=",
    .create = virtio_net_attach,
    .reset = virtio_net_reset_device,
    .destroy = virtio_net_detach,
};
