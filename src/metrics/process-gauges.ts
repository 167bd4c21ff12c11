// Promises what every Prometheus client says of its process, under the usual names, without the timers and observers that the library's own
// collection keeps running between two questions.

import { readdirSync } from 'node:fs';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '../clock.ts';
import type { Snapshot } from '../core/snapshot.ts';

export function createProcessGauges(registry: Registry): (snapshot: Snapshot, clock: Clock) => void {
  const registers = [registry];
  const cpu = new Counter({ name: 'process_cpu_seconds_total', help: 'Total user and system CPU time spent in seconds.', registers });
  const memory = new Gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes.', registers });
  const heap = new Gauge({ name: 'nodejs_heap_size_used_bytes', help: 'Heap in use by JavaScript, in bytes.', registers });
  const files = new Gauge({ name: 'process_open_fds', help: 'Number of open file descriptors.', registers });
  const start = new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers,
  });
  return ({ startedAt }, clock) => {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    cpu.reset();
    cpu.inc((user + system) / 1e6);
    memory.set(rss);
    heap.set(heapUsed);
    files.set(readdirSync('/proc/self/fd').length);
    start.set(clock.wallOf(startedAt) / 1000);
  };
}
