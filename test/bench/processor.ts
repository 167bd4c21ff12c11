// Promises the processor time that this host has used so far, all its processes together: other work on the machine changes it far less
// than it changes the clock.

import { existsSync, readFileSync } from 'node:fs';

const files = ['/sys/fs/cgroup/cpuacct/cpuacct.usage', '/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage', '/sys/fs/cgroup/cpu.stat'];

/** Milliseconds. */
export function processorTime(): number {
  const path = files.find((each) => existsSync(each));
  if (path === undefined) return Number.NaN;
  const text = readFileSync(path, 'utf8');
  const micros = /usage_usec (\d+)/.exec(text)?.[1];
  return micros === undefined ? Number(text) / 1e6 : Number(micros) / 1e3;
}

/** Of one process: its own time, and that of its ended children. Milliseconds. */
export function timesOf(pid: number): { readonly own: number; readonly children: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const sum = (...indexes: readonly number[]): number => indexes.reduce((total, index) => total + (fields[index] ?? 0), 0) * 10;
  return { own: sum(11, 12), children: sum(13, 14) };
}
