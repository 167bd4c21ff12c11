// The whole loop against seeded worlds of faults, delays, crashes and lost replies: some seeds here, thousands in scripts/test. A failing seed
// replays with `npm run simulate -- --seed N --trace`.

import { describe, expect, test } from 'vitest';
import { wrongsOf } from './figures.ts';
import { regressions } from './regressions.ts';
import { runScene, simulate, sweepEvery } from './simulate.ts';

const seeds = 250;

describe('simulated worlds', () => {
  test('I8 whatever fails, and wherever the controller is killed, every job comes to an end and nothing is left behind', async () => {
    const wrongs: string[] = [];
    for (let seed = 1; seed <= seeds; seed += 1) {
      for (const wrong of wrongsOf(await simulate(seed))) wrongs.push(`seed ${seed}: ${wrong}`);
    }
    expect(wrongs).toEqual([]);
  }, 120_000);
  test('I8 a controller that is killed at any single call of a short run loses nothing and leaves nothing', async () => {
    const verdict = await simulate(sweepEvery);
    expect(wrongsOf(verdict)).toEqual([]);
    expect(verdict.crashes).toBeGreaterThan(100);
  }, 60_000);
  test.each(regressions)('never again: $showed', async ({ scene }) => {
    // What it takes is a matter of milliseconds: many runs of the same script.
    for (let seed = 1; seed <= 40; seed += 1) expect(wrongsOf((await runScene({ ...scene, seed })).verdict)).toEqual([]);
  });
  test('the same seed gives the same run', async () => {
    const runs: string[][] = [[], []];
    for (const lines of runs) await simulate(7, (line) => lines.push(line));
    expect(runs[0]?.length).toBeGreaterThan(50);
    expect(runs[0]).toEqual(runs[1]);
  });
  test('worlds are rough: calls fail before and after their effect, controllers crash, forges fall silent', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 40; seed += 1) for (const kind of (await simulate(seed)).faults.keys()) seen.add(kind);
    for (const kind of [
      'register reply lost',
      'start failed',
      'start reply lost',
      'remove failed',
      'put failed',
      'delete reply lost',
      'jobs failed',
      'jobs slow',
      'list stale',
      'list empty in error',
      'list in disorder',
      'killed before the call',
      'killed after the effect',
      'killed before the reply',
      'controller killed',
      'cancel',
      'cancel while it runs',
      'rerun',
      'taken by another runner',
      'machine killed',
      'machine ends in silence',
      'waiting machine killed',
      'runners dispatched',
      'template changed',
      'other numbers of warm machines',
      'reboot',
      'forge restarts',
      'repository out of sight',
      'token revoked',
      'throttled',
      'another shape',
      'clock set',
      'disk full',
      'host full',
      'host unlistable',
      'records lost',
      'handed out late',
    ]) {
      expect([...seen]).toContain(kind);
    }
  });
});
