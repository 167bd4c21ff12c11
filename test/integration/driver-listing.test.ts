// What the driver's list says of machines that have no unit (any more), on a state directory of its own: no systemd is asked for them.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listMachines } from '../../src/driver/listing.ts';
import { writeMarker } from '../../src/driver/marker.ts';
import { pathsOf } from '../../src/driver/nspawn-unit.ts';
import { findTraces } from '../../src/driver/traces.ts';
import { transientUnits } from '../../src/driver/transient-units.ts';
import { aNetwork } from '../support/build.ts';

const controllerId = 'listing-test';
const id = 'j0000001abc';
const network = aNetwork({ pool: { first: '192.0.2.0', last: '192.0.2.255' }, prefix: 30 });
const way = transientUnits(controllerId);
let stateDir: string;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'listing-'));
  await mkdir(join(stateDir, 'machines'));
  await mkdir(join(stateDir, 'exits'));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const listed = (beingStarted: () => boolean = () => false) => listMachines({ controllerId, stateDir, way, network, beingStarted });
const marked = (slot = 3) => writeMarker(pathsOf(stateDir, id), { version: 1, id, controllerId, slot, startedAt: 77, profile: 'default' });
const lost = { result: 'lost', code: '', status: '' };

describe('a machine without a unit', () => {
  test('that left a whole exit record has exited as the record says', async () => {
    await marked();
    await writeFile(pathsOf(stateDir, id).exit, 'exit-code exited 3 - -\n');
    expect(await listed()).toEqual([
      { id, slot: 3, startedAt: 77, state: 'exited', exit: { result: 'exit-code', code: 'exited', status: '3' } },
    ]);
  });
  test('that left half an exit record, or none, is lost', async () => {
    await marked();
    expect(await listed()).toEqual([{ id, slot: 3, startedAt: 77, state: 'exited', exit: lost }]);
    await writeFile(pathsOf(stateDir, id).exit, 'success exit');
    expect(await listed()).toMatchObject([{ state: 'exited', exit: lost }]);
  });
  test('that is being made is starting, also when its making ends while we look', async () => {
    await marked();
    expect(await listed(() => true)).toEqual([{ id, slot: 3, startedAt: 77, state: 'starting' }]);
    const answers = [true];
    expect(await listed(() => answers.pop() ?? false)).toMatchObject([{ state: 'starting' }]);
    const late = [true, false];
    expect(await listed(() => late.pop() ?? false)).toMatchObject([{ state: 'starting' }]);
  });
  test('of which only the exit record is left is listed still, so that somebody removes it', async () => {
    await writeFile(pathsOf(stateDir, id).exit, 'success exited 0 - -\n');
    expect(await listed()).toMatchObject([{ id, slot: -1, state: 'exited', exit: { result: 'success' } }]);
  });
  test('whose marker cannot be read is known by its name', async () => {
    await mkdir(pathsOf(stateDir, id).folder);
    await writeFile(pathsOf(stateDir, id).marker, '{"versio');
    expect(await listed()).toMatchObject([{ id, slot: -1, startedAt: 0, state: 'exited', exit: lost }]);
  });
});

describe('what lies in the state directory', () => {
  test('I6 under other names than ours is no machine', async () => {
    for (const name of ['lost+found', 'j0000001ab', 'J0000001ABC', '.j0000001abc.new']) {
      await mkdir(join(stateDir, 'machines', name));
      await writeFile(join(stateDir, 'exits', name), 'success exited 0\n');
    }
    expect(await listed()).toEqual([]);
  });
  test('nothing at all is no machine, and folders that are not there yet hold none', async () => {
    await rm(join(stateDir, 'machines'), { recursive: true });
    await rm(join(stateDir, 'exits'), { recursive: true });
    expect(await listed()).toEqual([]);
  });
  test('I2 that cannot be read is an error and not an empty list', async () => {
    await rm(join(stateDir, 'machines'), { recursive: true });
    await writeFile(join(stateDir, 'machines'), '');
    await expect(findTraces({ controllerId, stateDir, way })).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
