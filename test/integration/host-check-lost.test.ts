// A look at the host whose shell ends in the middle of it. In a file of its own, because the shell stays for all that one process does.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { faultsOf, hostChecks } from '../../src/driver/host-check.ts';
import { aProfile } from '../support/build.ts';

test('I2 what could not be looked at is not taken for missing: the service does not end for good because its shell did', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'host-check-'));
  const path = process.env['PATH'];
  onTestFinished(async () => {
    process.env['PATH'] = path;
    await rm(folder, { recursive: true });
  });
  // Looks for nothing, and ends the shell and what belongs to it: it leads the session in which this is started.
  await writeFile(join(folder, 'test'), '#!/bin/sh\nread -r _ _ _ _ _ shell _ </proc/self/stat\nkill -KILL "-$shell"\n');
  await chmod(join(folder, 'test'), 0o755);
  process.env['PATH'] = `${folder}:${path ?? ''}`;
  const tools = hostChecks([aProfile({ limits: { diskBytes: 1 } })]).find(({ name }) => name === 'tools');
  await expect(tools?.faults()).rejects.toMatchObject({
    code: 'DRIVER_FAILED',
    message: expect.stringContaining('could not be looked at'),
  });
});

test('what is known to be wrong is told although something else could not be looked at; without it nobody looked', async () => {
  const blind = { faults: () => Promise.reject(new Error('nobody looked')) };
  const well = { faults: () => Promise.resolve([]) };
  const found = { faults: () => Promise.resolve([{ what: 'There is no shell' }]) };
  expect(await faultsOf([blind, well, found])).toEqual([{ what: 'There is no shell' }]);
  await expect(faultsOf([well, blind])).rejects.toThrow('nobody looked');
});
