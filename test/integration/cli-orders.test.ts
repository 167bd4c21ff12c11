// Promises the orders of runner-status against the real API on real sockets: what they change, what they print, when they are refused, and
// that a drain is waited for until nothing is left and outlives whoever waits.

import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { orderSchema } from '../../src/http/wire-v1.ts';
import { answering, type Answering } from '../support/cli-service.ts';
import { runs } from '../support/cli-run.ts';
import { busy, now, quiet } from '../support/snapshot-fixture.ts';

const draining = (left: number): Snapshot => ({ ...quiet, draining: true, drain: { by: 'operator', since: now, left } });
let picture: Snapshot = quiet;
let service: Answering;
let given: string[] = [];
beforeEach(async () => {
  picture = quiet;
  given = [];
  service = await answering(() => picture, {
    drain(on) {
      given.push(on ? 'drain' : 'resume');
      const changed = picture.draining !== on;
      picture = on ? draining(3) : quiet;
      return changed;
    },
    stop(id) {
      given.push(`stop ${id}`);
      return true;
    },
    wake: (poll) => void given.push(poll === true ? 'poll' : 'look'),
  });
});
afterEach(async () => {
  await service.close();
});
const ordered = (...words: readonly string[]) => runs([...words, '--socket', service.socket]);

describe('orders', () => {
  test('drain, resume, poll and stop do what they say, and print what came of it', async () => {
    picture = { ...busy, draining: false };
    expect(await ordered('stop', 'j0000041abc')).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringContaining('runner j0000041abc is asked to end'),
    });
    expect(await ordered('poll')).toMatchObject({ code: 0, out: expect.stringContaining('asked at once') });
    expect(await ordered('drain')).toMatchObject({ code: 0, out: expect.stringContaining('nothing more is started') });
    expect(await ordered('drain')).toMatchObject({ code: 0, out: expect.stringContaining('drains already') });
    expect(await ordered('resume')).toMatchObject({ code: 0, out: expect.stringContaining('started again') });
    expect(given).toEqual(['stop j0000041abc', 'poll', 'drain', 'drain', 'resume']);
  });

  test('--json is the answer as it is', async () => {
    const { code, out } = await ordered('drain', '--json');
    expect([code, orderSchema.parse(JSON.parse(out)).draining]).toEqual([0, true]);
  });

  test.each([['nobody'], ['../../drain'], ['a/b?c=d#e'], ['\u001b[2J']])(
    'a runner that is not there, %j, is refused with exit code 1',
    async (id) => {
      const { code, out, err } = await ordered('stop', id);
      expect([code, out]).toEqual([1, '']);
      expect(err).toContain('NOT_FOUND');
      expect(given).toEqual([]);
    },
  );
});

describe('over a URL', () => {
  test('an order without the token, or with another one, is not allowed: exit code 4 and the remedy', async () => {
    const { code, err } = await runs(['drain', '--url', service.url]);
    expect(code).toBe(4);
    expect(err).toContain('--token-file');
    const file = join(service.folder, 'other');
    await writeFile(file, 'x'.repeat(40));
    expect(await runs(['drain', '--url', service.url, '--token-file', file])).toMatchObject({ code: 4, out: '' });
    expect(given).toEqual([]);
  });

  test('with the token it is obeyed', async () => {
    expect(await runs(['poll', '--url', service.url, '--token-file', service.tokenFile])).toMatchObject({ code: 0, err: '' });
    expect(given).toEqual(['poll']);
  });
});

/** A clock on which each wait brings the next picture. */
const stepping = (...steps: readonly (() => void)[]) => {
  const left = [...steps];
  const sleep = () => Promise.resolve(left.shift()?.());
  return { now: () => 0, wallOf: (at: number) => at, sleep };
};
const shows = (next: Snapshot) => () => {
  picture = next;
};

describe('drain --wait', () => {
  test('shows how many are left and ends with 0 when nothing is', async () => {
    const clock = stepping(shows(draining(3)), shows(draining(1)), shows(draining(0)));
    const { code, out, err } = await runs(['drain', '--wait', '--socket', service.socket], { clock });
    expect(code).toBe(0);
    expect(out).toContain('nothing more is started');
    expect(err).toBe('runner-status: 3 left\nrunner-status: 1 left\nrunner-status: drained: nothing is left\n');
  });

  test('the end of the service is the end of the drain', async () => {
    const server = service;
    const clock = stepping(() => undefined);
    const sleep = () => server.close();
    const { code, err } = await runs(['drain', '--wait', '--socket', service.socket], { clock: { ...clock, sleep } });
    expect(code).toBe(0);
    expect(err).toContain('drained: the service has ended');
  });

  test('a service that failed meanwhile was not drained: exit code 1, and what systemd knows; one that is about to end is waited for', async () => {
    const systemctl = join(service.folder, 'systemctl');
    const says = (state: string) => writeFile(systemctl, `#!/bin/sh\n[ $1 = show ] && echo ActiveState=${state}\n`);
    await says('active');
    await chmod(systemctl, 0o755);
    const states = ['active', 'failed'];
    const sleep = async () => {
      await service.port.close();
      await says(states.shift() ?? 'gone');
    };
    const words = ['drain', '--wait', '--url', service.url, '--token-file', service.tokenFile];
    const { code, err } = await runs(words, { clock: { ...stepping(), sleep }, env: { PATH: `${service.folder}:/usr/bin:/bin` } });
    expect(code).toBe(1);
    expect(err).toContain('gone before it was drained; systemd: forgejo-runner-controller.service is failed');
    expect(states).toEqual([]);
  });

  test('a drain that is taken back meanwhile ends it with 1', async () => {
    const { code, err } = await runs(['drain', '--wait', '--socket', service.socket], { clock: stepping(shows(quiet)) });
    expect(code).toBe(1);
    expect(err).toContain('does not drain any more');
  });

  test('interrupted, it leaves the drain on and says so, with exit code 130', async () => {
    const ending = new AbortController();
    const clock = stepping(() => ending.abort());
    const { code, err } = await runs(['drain', '--wait', '--socket', service.socket], { clock, ending: ending.signal });
    expect(code).toBe(130);
    expect(err).toContain('the drain stays on');
    expect([picture.draining, given]).toEqual([true, ['drain']]);
  });
});
