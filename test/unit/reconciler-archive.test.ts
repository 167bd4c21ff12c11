// The loop and the archive: every end is handed over once with its cause, what ended before the start is listed again, and nothing waits for it.

import { expect, test } from 'vitest';
import type { Archive } from '../../src/archive/archive.ts';
import type { EndedView } from '../../src/core/snapshot.ts';
import { aProfile } from '../support/build.ts';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';

type MemoryArchive = Pick<Archive, 'keep' | 'recent' | 'tend'> & { readonly kept: (readonly [machine: string, ended: EndedView])[] };
function createMemoryArchive(recent: Archive['recent']): MemoryArchive {
  const kept: (readonly [string, EndedView])[] = [];
  return { kept, recent, keep: (...each) => void kept.push(each), tend: () => undefined };
}

const limited = { profiles: [aProfile({ limits: { memoryBytes: 256 * 2 ** 20 } })] };
const exit = { result: 'exit-code', code: 'exited', status: '137', oomKills: 1, memoryPeakBytes: 2 ** 28, cpuMs: 5 };

async function killedJob(rig: Rig): Promise<string> {
  rig.forge.queue(1);
  await rig.step();
  const [machine = ''] = rig.driver.machines.keys();
  rig.driver.end(machine, exit);
  await rig.step();
  return machine;
}

test('an end is handed over once, with the memory limit that was its cause, and is in the list at once', async () => {
  const archive = createMemoryArchive(() => Promise.resolve([]));
  const rig = createRig(limited, {}, { archive });
  const machine = await killedJob(rig);
  await rig.step();
  expect(archive.kept).toEqual([
    [machine, expect.objectContaining({ id: machine, reason: 'machine-failed', cause: 'killed: memory limit 256 MiB', exit })],
  ]);
  expect(rig.reconciler.snapshot().ended).toEqual(archive.kept.map(([, ended]) => ended));
});

test('what ended before a restart is listed again, after what has ended since', async () => {
  const earlier = createMemoryArchive(() => Promise.resolve([]));
  await killedJob(createRig(limited, {}, { archive: earlier }));
  const before = earlier.kept.map(([, ended]) => ({ ...ended, createdAt: ended.createdAt - 1 }));
  const reading = Promise.withResolvers<readonly EndedView[]>();
  const archive = createMemoryArchive(() => reading.promise);
  const rig = createRig(limited, {}, { archive });
  const stop = new AbortController();
  const run = rig.reconciler.run(stop.signal);
  await flushed();
  expect(rig.reconciler.snapshot().ticks, 'the loop does not wait for the archive').toBeGreaterThan(0);
  rig.forge.queue(1);
  const thereAre = async (machines: number): Promise<void> => {
    for (let second = 0; second < 20 && rig.driver.machines.size !== machines; second += 1) {
      rig.clock.advance(1_000);
      await flushed();
    }
  };
  await thereAre(1);
  for (const machine of rig.driver.machines.keys()) rig.driver.end(machine, exit);
  await thereAre(0);
  await flushed();
  expect(archive.kept).toHaveLength(1);
  reading.resolve([...before, ...archive.kept.map(([, ended]) => ended)]);
  await flushed();
  expect(rig.reconciler.snapshot().ended).toEqual([...archive.kept.map(([, ended]) => ended), ...before]);
  stop.abort();
  await run;
});
