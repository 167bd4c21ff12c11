// Promises the table of docs/BENCHMARKS.md, measured on the host it runs on: what was promised, what it is, held or missed. A miss is a
// line, not a failure. Run by scripts/bench.  Flags: --quick, --json FILE, --only NAME (tick, port, cold, taken, burst, idle, records).

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureBurst } from './burst.ts';
import { measureIdle, measureRecords } from './idle.ts';
import { tableOf, type Line } from './line.ts';
import { openStage, type Stage } from './stage.ts';
import { measureCold, measurePort } from './starts.ts';
import { measureTaken } from './taken.ts';
import { measureTick } from './tick.ts';

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

async function withService(stage: Stage): Promise<readonly Line[]> {
  if (!['cold', 'taken', 'burst'].some(wanted)) return [];
  const service = await stage.service('bench');
  try {
    await service.start();
    return [
      ...(wanted('cold') ? await measureCold(stage, service, runs) : []),
      ...(wanted('taken') ? await measureTaken(stage, runs) : []),
      ...(wanted('burst') ? await measureBurst(stage, service, flags.quick ? 2 : 7) : []),
    ];
  } catch (error) {
    for (const line of (await service.log()).slice(-30)) process.stderr.write(`${JSON.stringify(line)}\n`);
    throw error;
  } finally {
    await service.dispose();
  }
}

const facts = machine();
const stage = await openStage();
const lines: Line[] = [];
try {
  if (wanted('tick')) lines.push(...measureTick(30));
  if (wanted('port')) lines.push(...(await measurePort(stage, runs)));
  lines.push(...(await withService(stage)));
  if (wanted('idle')) lines.push(...(await measureIdle(stage, flags.quick ? 15 : 60)));
  if (wanted('records')) lines.push(...(await measureRecords(stage, flags.quick ? 10 : 30)));
} finally {
  await stage.close();
}
const loadAfter = execFileSync('cat', ['/proc/loadavg'], { encoding: 'utf8' }).trim();
process.stdout.write(
  `${Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')}load after: ${loadAfter}\n\n${tableOf(lines)}\n`,
);
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ ...facts, loadAfter, lines }, null, 2)}\n`);
process.exit(0);
