"""A FAT12 floppy image that can be put together wrongly on purpose."""

import random
import struct

SECTOR = 512
END = 0xFFF
BAD = 0xFF7


class Floppy:
    def __init__(self, path):
        self.bytes = bytearray(open(path, "rb").read())
        self.cluster_sectors = self.bytes[13]
        reserved, fats = struct.unpack_from("<HB", self.bytes, 14)
        self.root_entries, self.total = struct.unpack_from("<HH", self.bytes, 17)
        self.fat_sectors, = struct.unpack_from("<H", self.bytes, 22)
        self.fats = [reserved + copy * self.fat_sectors for copy in range(fats)]
        self.root = reserved + fats * self.fat_sectors
        self.data = self.root + self.root_entries * 32 // SECTOR
        self.clusters = (self.total - self.data) // self.cluster_sectors

    # ---- the FAT

    def get(self, cluster):
        value, = struct.unpack_from("<H", self.bytes, self.fats[0] * SECTOR + cluster * 3 // 2)
        return value >> 4 if cluster & 1 else value & 0xFFF

    def set(self, cluster, entry):
        for fat in self.fats:
            at = fat * SECTOR + cluster * 3 // 2
            value, = struct.unpack_from("<H", self.bytes, at)
            value = value & 0x000F | entry << 4 if cluster & 1 else value & 0xF000 | entry
            struct.pack_into("<H", self.bytes, at, value)

    def chain(self, cluster):
        clusters = []
        while 2 <= cluster < BAD and len(clusters) < self.clusters:
            clusters.append(cluster)
            cluster = self.get(cluster)
        return clusters

    def free(self):
        return [cluster for cluster in range(2, self.clusters + 2) if not self.get(cluster)]

    # ---- the root directory

    def entry(self, name):
        """Where the directory entry of a file like `KERNEL  BIN` is."""
        for at in range(self.root * SECTOR, self.data * SECTOR, 32):
            if self.bytes[at:at + 11] == name.encode() and not self.bytes[at + 11] & 0x08:
                return at
        raise KeyError(name)

    def first(self, name):
        return struct.unpack_from("<H", self.bytes, self.entry(name) + 26)[0]

    def set_first(self, name, cluster):
        struct.pack_into("<H", self.bytes, self.entry(name) + 26, cluster)

    def size(self, name):
        return struct.unpack_from("<I", self.bytes, self.entry(name) + 28)[0]

    def set_size(self, name, size):
        struct.pack_into("<I", self.bytes, self.entry(name) + 28, size)

    # ---- files

    def cluster_at(self, cluster):
        return (self.data + (cluster - 2) * self.cluster_sectors) * SECTOR

    def read(self, name):
        step = self.cluster_sectors * SECTOR
        data = b"".join(bytes(self.bytes[self.cluster_at(c):self.cluster_at(c) + step])
                        for c in self.chain(self.first(name)))
        return data[:self.size(name)]

    def remove(self, name):
        for cluster in self.chain(self.first(name)):
            self.set(cluster, 0)
        self.bytes[self.entry(name)] = 0xE5

    def write(self, name, data, clusters=None, seed=None, end=END):
        """Replaces a file's bytes; its clusters are those given, or shuffled, or the first free ones."""
        for cluster in self.chain(self.first(name)):
            self.set(cluster, 0)
        step = self.cluster_sectors * SECTOR
        count = -(-len(data) // step)
        if clusters is None:
            clusters = self.free()
            if seed is not None:
                random.Random(seed).shuffle(clusters)
        clusters = clusters[:count]
        assert len(clusters) == count, "the file does not fit"
        for index, cluster in enumerate(clusters):
            piece = data[index * step:(index + 1) * step]
            at = self.cluster_at(cluster)
            self.bytes[at:at + len(piece)] = piece
            self.set(cluster, clusters[index + 1] if index + 1 < count else end)
        self.set_first(name, clusters[0] if clusters else 0)
        self.set_size(name, len(data))
        return clusters

    def save(self, path):
        open(path, "wb").write(self.bytes)
        return path
