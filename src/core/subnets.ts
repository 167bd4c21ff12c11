// Promises slots: each is one subnet of the pool, one uid range and one interface name, held by one machine at a time. Exhausted means
// wait, never reuse; the next slot is always the one that rested longest, because the kernel gives addresses back late.

/** First and last address of the pool, and the prefix length that cuts it into subnets. */
export type Pool = { readonly first: string; readonly last: string; readonly prefix: number };

/** One slot's addresses; `network` and `broadcast` bound the subnet. */
export type Subnet = {
  readonly network: string;
  readonly broadcast: string;
  readonly host: string;
  readonly machine: string;
  readonly prefix: number;
};

/** How many uid ranges lie between 0x70000000 and 0x7FFFFFFF, where neither `pick` nor people look. */
const uidRanges = 4096;

/** Not the internet: this host, private ranges, carrier NAT, link-local (metadata services), tests, multicast, reserved. */
export const refusedRanges: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

export function addressToNumber(text: string): number {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return Number.NaN;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function numberToAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** How many machines the pool has room for. */
export function slotCountOf(pool: Pool): number {
  const size = 2 ** (32 - pool.prefix);
  const first = Math.ceil(addressToNumber(pool.first) / size);
  const last = Math.floor((addressToNumber(pool.last) + 1) / size);
  return Math.max(0, Math.min(last - first, uidRanges));
}

/** The addresses of a slot: host .10 and machine .11 in a /24 or larger, the first two usable ones in smaller subnets. */
export function subnetOf(pool: Pool, slot: number): Subnet {
  const size = 2 ** (32 - pool.prefix);
  const base = Math.ceil(addressToNumber(pool.first) / size) * size + slot * size;
  const host = base + (pool.prefix <= 24 ? 10 : 1);
  return {
    network: numberToAddress(base),
    broadcast: numberToAddress(base + size - 1),
    host: numberToAddress(host),
    machine: numberToAddress(host + 1),
    prefix: pool.prefix,
  };
}

/**
 * The uid range of a slot: 65536 ids from here. It follows the subnet's address and not the slot's number, so that two controllers of one host,
 * whose pools never overlap, give their jobs different uids, too (but for pools that lie a multiple of 4096 subnets apart).
 */
export function uidBaseOf(pool: Pool, slot: number): number {
  const size = 2 ** (32 - pool.prefix);
  const subnet = Math.ceil(addressToNumber(pool.first) / size) + slot;
  return 0x70000000 + (subnet % uidRanges) * 65536;
}

/** The next free slot after `last`, round the pool; undefined when all are held. */
export function nextSlot(held: ReadonlySet<number>, slots: number, last: number): number | undefined {
  for (let step = 1; step <= slots; step += 1) {
    const slot = (Math.max(last, -1) + step) % slots;
    if (!held.has(slot)) return slot;
  }
  return undefined;
}
