// Promises the table of docs/BENCHMARKS.md, measured on the host it runs on: what was promised, what it is, held or missed. A miss is a
// line, not a failure. Run by scripts/bench.  Flags: --quick, --json FILE, --only NAME (tick, port, cold, taken, burst, died, warm, idle, records).

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureBurst } from './burst.ts';
import { measureDied } from './died.ts';
import { measureIdle, measureRecords } from './idle.ts';
import { tableOf, type Line } from './line.ts';
import type { Service } from '../support/service.ts';
import { openStage } from './stage.ts';
import { measureCold, measurePort } from './starts.ts';
import { measureTaken } from './taken.ts';
import { measureTick } from './tick.ts';
import { measureWarm } from './warm.ts';

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' }, only: { type: 'string', multiple: true } },
});

const runs = flags.quick ? 8 : 30;
const wanted = (name: string): boolean => flags.only === undefined || flags.only.includes(name);

function firstLine(command: string, ...args: readonly string[]): string {
  return execFileSync(command, [...args], { encoding: 'utf8' }).split('\n')[0] ?? '';
}

function machine(): Readonly<Record<string, string>> {
  return {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GB`,
    kernel: release(),
    systemd: firstLine('systemctl', '--version').replace(/^systemd /, ''),
    node: process.version,
    load: firstLine('cat', '/proc/loadavg'),
    date: new Date().toISOString(),
  };
}

async function withService(take: (service: Service) => Promise<readonly Line[]>): Promise<readonly Line[]> {
  const service = await stage.service('bench');
  try {
    await service.start();
    return await take(service);
  } finally {
    await service.dispose();
  }
}

const facts = machine();
const stage = await openStage();
const lines: Line[] = [];
let failures = 0;

/** A measure that cannot be made is told in the table, and costs the others nothing. */
async function measure(name: string, take: () => readonly Line[] | Promise<readonly Line[]>): Promise<void> {
  if (!wanted(name)) return;
  process.stderr.write(`${new Date().toISOString()} ${name}\n`);
  try {
    lines.push(...(await take()));
  } catch (error) {
    failures += 1;
    process.stderr.write(`${name}: ${String(error)}\n`);
    lines.push({ name, target: '-', measured: 'could not be measured', held: false, note: String(error).slice(0, 200), values: {} });
  }
}

await measure('tick', () => measureTick(30));
await measure('port', () => measurePort(stage, runs));
for (const [name, take] of Object.entries({
  cold: (service: Service) => measureCold(stage, service, runs),
  taken: () => measureTaken(stage, runs),
  burst: (service: Service) => measureBurst(stage, service, flags.quick ? 2 : 5),
  died: (service: Service) => measureDied(stage, service, flags.quick ? 5 : 20),
}))
  await measure(name, () => withService(take));
await measure('warm', () => measureWarm(stage, runs));
await measure('idle', () => measureIdle(stage, flags.quick ? 15 : 60));
await measure('records', () => measureRecords(stage, flags.quick ? 10 : 30));
await stage.close();
const loadAfter = execFileSync('cat', ['/proc/loadavg'], { encoding: 'utf8' }).trim();
process.stdout.write(
  `${Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')}load after: ${loadAfter}\n\n${tableOf(lines)}\n`,
);
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ ...facts, loadAfter, lines }, null, 2)}\n`);
process.exit(failures === 0 ? 0 : 1);
