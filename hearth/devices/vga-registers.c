/*
 * The VGA's ports 3B0h-3DFh: miscellaneous output, sequencer, CRT controller, graphics controller, attribute
 * controller and the DAC, all readable. A 16-bit OUT to an index port reaches the data port after it, as on an 8-bit
 * card: the bus splits it. Leaves out: the light pen, and the CRT controller's readable latches (22h, 24h) of clones.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem.
 */
#include "devices/vga-state.h"

#include <string.h>

enum { /* offsets from 3B0h */
       PORT_CRTC_INDEX_MONO = 0x04,
       PORT_CRTC_DATA_MONO = 0x05,
       PORT_STATUS_1_MONO = 0x0a, /* write: feature control */
       PORT_ATTRIBUTE_INDEX = 0x10,
       PORT_ATTRIBUTE_DATA = 0x11,
       PORT_STATUS_0 = 0x12, /* write: miscellaneous output */
       PORT_SUBSYSTEM_ENABLE = 0x13,
       PORT_SEQUENCER_INDEX = 0x14,
       PORT_SEQUENCER_DATA = 0x15,
       PORT_DAC_MASK = 0x16,
       PORT_DAC_READ_INDEX = 0x17, /* read: DAC state */
       PORT_DAC_WRITE_INDEX = 0x18,
       PORT_DAC_DATA = 0x19,
       PORT_FEATURE_CONTROL = 0x1a,
       PORT_MISC_OUTPUT = 0x1c,
       PORT_GRAPHICS_INDEX = 0x1e,
       PORT_GRAPHICS_DATA = 0x1f,
       PORT_CRTC_INDEX = 0x24,
       PORT_CRTC_DATA = 0x25,
       PORT_STATUS_1 = 0x2a,
};

enum {
    STATUS_0_SWITCH_SENSE = 1 << 4, /* a colour monitor is connected */
    DAC_STATE_READING = 0x03,
    CRTC_PROTECTED_LAST = CRTC_OVERFLOW,
};

static const uint8_t sequencer_bits[SEQUENCER_REGISTERS] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t graphics_bits[GRAPHICS_REGISTERS] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                                          0x7b, 0x0f, 0x0f, 0xff};

void vga_registers_reset(struct vga *vga)
{
    vga->misc_output = vga->feature_control = 0;
    vga->subsystem_enable = 1;
    vga->sequencer_index = vga->graphics_index = vga->crtc_index = vga->attribute_index = 0;
    memset(vga->sequencer, 0, sizeof(vga->sequencer));
    memset(vga->graphics, 0, sizeof(vga->graphics));
    memset(vga->crtc, 0, sizeof(vga->crtc));
    memset(vga->attribute, 0, sizeof(vga->attribute));
    vga->attribute_data_next = false;
    vga->dac_mask = 0xff;
    vga->dac_read_index = vga->dac_write_index = vga->dac_component = 0;
    vga->dac_reading = false;
    memset(vga->dac_latch, 0, sizeof(vga->dac_latch));
    memset(vga->dac, 0, sizeof(vga->dac));
    memset(vga->latch, 0, sizeof(vga->latch));
}

/* ---- attribute controller: index and data take turns on one port, reading status 1 begins with the index */

static void attribute_write(struct vga *vga, uint8_t value)
{
    vga->attribute_data_next = !vga->attribute_data_next;
    if (vga->attribute_data_next) {
        vga->attribute_index = value & (ATTRIBUTE_INDEX_MASK | ATTRIBUTE_PALETTE_ADDRESS_SOURCE);
        return;
    }
    unsigned index = vga->attribute_index & ATTRIBUTE_INDEX_MASK;
    if (index < ATTRIBUTE_MODE_CONTROL)
        vga->attribute[index] = value & 0x3f;
    else if (index < ATTRIBUTE_REGISTERS)
        vga->attribute[index] = value;
}

static uint8_t attribute_read(const struct vga *vga)
{
    unsigned index = vga->attribute_index & ATTRIBUTE_INDEX_MASK;
    return index < ATTRIBUTE_REGISTERS ? vga->attribute[index] : 0;
}

/* ---- DAC: three accesses to an entry, then the index moves on */

static uint8_t dac_bits(const struct vga *vga)
{
    return vga->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? 0xff : 0x3f;
}

static void dac_write(struct vga *vga, uint8_t value)
{
    vga->dac_latch[vga->dac_component++] = value & dac_bits(vga);
    if (vga->dac_component < 3)
        return;
    vga->dac_component = 0;
    memcpy(vga->dac[vga->dac_write_index++], vga->dac_latch, 3);
}

static uint8_t dac_read(struct vga *vga)
{
    uint8_t value = vga->dac[vga->dac_read_index][vga->dac_component++];
    if (vga->dac_component == 3) {
        vga->dac_component = 0;
        vga->dac_read_index++;
    }
    return value;
}

/* ---- CRT controller */

static void crtc_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->crtc_index;
    if (index >= CRTC_REGISTERS)
        return;
    if (index <= CRTC_PROTECTED_LAST && vga->crtc[CRTC_VERTICAL_RETRACE_END] & RETRACE_END_PROTECT) {
        if (index != CRTC_OVERFLOW)
            return;
        value = (vga->crtc[CRTC_OVERFLOW] & ~OVERFLOW_LINE_COMPARE_8) | (value & OVERFLOW_LINE_COMPARE_8);
    }
    vga->crtc[index] = value;
}

/* Its ports and status 1 answer at 3Bxh or 3Dxh, as miscellaneous output says; the other place is empty. */
static bool port_is_decoded(const struct vga *vga, uint64_t port)
{
    if (port < PORT_ATTRIBUTE_INDEX)
        return !(vga->misc_output & OUTPUT_COLOR_ADDRESSES);
    if (port > PORT_GRAPHICS_DATA)
        return vga->misc_output & OUTPUT_COLOR_ADDRESSES;
    return true;
}

static uint8_t register_read(const uint8_t *registers, unsigned index, unsigned count)
{
    return index < count ? registers[index] : 0;
}

uint64_t vga_port_read(void *opaque, uint64_t port, unsigned size)
{
    struct vga *vga = opaque;
    (void)size;
    if (!port_is_decoded(vga, port))
        return 0xff;
    switch (port) {
    case PORT_ATTRIBUTE_INDEX: return vga->attribute_data_next ? attribute_read(vga) : vga->attribute_index;
    case PORT_ATTRIBUTE_DATA: return attribute_read(vga);
    case PORT_STATUS_0: return STATUS_0_SWITCH_SENSE;
    case PORT_SUBSYSTEM_ENABLE: return vga->subsystem_enable;
    case PORT_SEQUENCER_INDEX: return vga->sequencer_index;
    case PORT_SEQUENCER_DATA: return register_read(vga->sequencer, vga->sequencer_index, SEQUENCER_REGISTERS);
    case PORT_DAC_MASK: return vga->dac_mask;
    case PORT_DAC_READ_INDEX: return vga->dac_reading ? DAC_STATE_READING : 0;
    case PORT_DAC_WRITE_INDEX: return vga->dac_write_index;
    case PORT_DAC_DATA: return dac_read(vga);
    case PORT_FEATURE_CONTROL: return vga->feature_control;
    case PORT_MISC_OUTPUT: return vga->misc_output;
    case PORT_GRAPHICS_INDEX: return vga->graphics_index;
    case PORT_GRAPHICS_DATA: return register_read(vga->graphics, vga->graphics_index, GRAPHICS_REGISTERS);
    case PORT_CRTC_INDEX_MONO:
    case PORT_CRTC_INDEX: return vga->crtc_index;
    case PORT_CRTC_DATA_MONO:
    case PORT_CRTC_DATA: return register_read(vga->crtc, vga->crtc_index, CRTC_REGISTERS);
    case PORT_STATUS_1_MONO:
    case PORT_STATUS_1: vga->attribute_data_next = false; return vga_input_status_1(vga);
    default: return 0xff;
    }
}

static void sequencer_write(struct vga *vga, uint8_t value)
{
    if (vga->sequencer_index < SEQUENCER_REGISTERS)
        vga->sequencer[vga->sequencer_index] = value & sequencer_bits[vga->sequencer_index];
}

static void graphics_write(struct vga *vga, uint8_t value)
{
    if (vga->graphics_index < GRAPHICS_REGISTERS)
        vga->graphics[vga->graphics_index] = value & graphics_bits[vga->graphics_index];
}

static void dac_index_write(struct vga *vga, uint8_t value, bool reading)
{
    *(reading ? &vga->dac_read_index : &vga->dac_write_index) = value;
    vga->dac_reading = reading;
    vga->dac_component = 0;
}

void vga_port_write(void *opaque, uint64_t port, unsigned size, uint64_t wide)
{
    struct vga *vga = opaque;
    uint8_t value = (uint8_t)wide;
    (void)size;
    if (!port_is_decoded(vga, port))
        return;
    switch (port) {
    case PORT_ATTRIBUTE_INDEX: attribute_write(vga, value); break;
    case PORT_STATUS_0: vga->misc_output = value; break;
    case PORT_SUBSYSTEM_ENABLE: vga->subsystem_enable = value & 1; break;
    case PORT_SEQUENCER_INDEX: vga->sequencer_index = value & 0x07; return;
    case PORT_SEQUENCER_DATA: sequencer_write(vga, value); break;
    case PORT_DAC_MASK: vga->dac_mask = value; return;
    case PORT_DAC_READ_INDEX: dac_index_write(vga, value, true); return;
    case PORT_DAC_WRITE_INDEX: dac_index_write(vga, value, false); return;
    case PORT_DAC_DATA: dac_write(vga, value); return;
    case PORT_GRAPHICS_INDEX: vga->graphics_index = value & 0x0f; return;
    case PORT_GRAPHICS_DATA: graphics_write(vga, value); break;
    case PORT_CRTC_INDEX_MONO:
    case PORT_CRTC_INDEX: vga->crtc_index = value & 0x3f; return;
    case PORT_CRTC_DATA_MONO:
    case PORT_CRTC_DATA: crtc_write(vga, value); break;
    case PORT_STATUS_1_MONO:
    case PORT_STATUS_1: vga->feature_control = value; return;
    default: return;
    }
    vga_window_check(vga);
}
