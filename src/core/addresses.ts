// Promises the words for the network of machines: their addresses and names, and what they reach.

/** What machines reach, and by which addresses. */
export type Network = {
  /** First and last IPv4 address of the pool, cut into subnets of `prefix` bits; e.g. 192.168.100.0-192.168.199.255 with 24 = 100 slots. */
  readonly pool: { readonly first: string; readonly last: string };
  readonly prefix: number;
  /** Resolvers that machines use; empty = those of the host (its own stub excluded). */
  readonly nameservers: readonly string[];
  /** CIDRs in private ranges that machines may reach all the same. */
  readonly allow: readonly string[];
  /** CIDRs that machines may not reach, also where `allow` has them; forge and resolvers stay reachable. */
  readonly deny: readonly string[];
  /** TCP ports of the host that machines may reach, beside the forge's and DNS. */
  readonly openPorts: readonly number[];
  /** Interfaces of the host that machines' packets may leave by; empty = any. */
  readonly externalInterface: readonly string[];
  /** Whether what leaves has the address of this host; else that of the machine, and the operator sees to the way back. */
  readonly masquerade: boolean;
  /** Of the interfaces of machines; undefined = that of the way out of this host. */
  readonly mtu?: number;
};

/** A name that machines know by their /etc/hosts; `host-gateway` stands for this host, at the address that it has for the machine. */
export type HostName = { readonly name: string; readonly address: string };
