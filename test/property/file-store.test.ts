// Whatever bytes lie in the records folder, under whatever names: loading ends, good records are found, and nothing is lost.

import { mkdtemp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { openFileStore } from '../../src/store/file-store.ts';
import { encodeRecord } from '../../src/store/record-wire.ts';
import { aJob, aRunner } from '../support/build.ts';

const good = [aRunner(aJob(1), { slot: 0 }), aRunner(aJob(2), { slot: 1, createdAt: 5, assignedAt: 6 })];
const whole = encodeRecord(aRunner(aJob(3), { slot: 2 }));

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  fc.json().map((text) => Buffer.from(text)),
  fc.nat(whole.length).map((length) => Buffer.from(whole.slice(0, length))),
  fc.nat(500).map((length) => Buffer.alloc(length)),
  fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => Buffer.from(whole).fill(byte, at, at + 1)),
  fc.object().map((runner) => Buffer.from(JSON.stringify({ version: 1, runner }))),
);
const name = fc.oneof(
  fc.stringMatching(/^[jw][0-9a-z]{10}\.json$/),
  fc.constantFrom(...good.map(({ id }) => `${id}.json.1`), 'controller.json', '-rf', '..x', ' ', '\n', 'x'.repeat(255), 'ü.json'),
  fc.uint8Array({ minLength: 1, maxLength: 20 }).map((array) => Buffer.from(array.map((byte) => (byte === 0 || byte === 47 ? 255 : byte))).toString('latin1')), // prettier-ignore
);
const lying = fc.record({ name, kind: fc.constantFrom('file', 'file', 'file', 'folder', 'link'), bytes, before: fc.boolean() });
const pathOf = (folder: string, latin1: string): Buffer => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(latin1, 'latin1')]);

test('any bytes under any names in the records folder end no start, and lose no record and no byte', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(lying, { selector: (each) => Buffer.from(each.name, 'latin1').toString('hex'), maxLength: 8 }),
      async (things) => {
        const stateDir = await mkdtemp(join(tmpdir(), 'store-property-'));
        const store = await openFileStore({ stateDir, controllerId: 'test' });
        try {
          for (const runner of good) await store.put(runner);
          const laid: Buffer[] = [];
          for (const thing of things.filter((each) => each.name !== '.' && each.name !== '..')) {
            const path = pathOf(join(stateDir, thing.before ? 'quarantine' : 'runners'), thing.name);
            if (thing.kind === 'folder') await mkdir(path);
            else if (thing.kind === 'link') await symlink('/dev/zero', path);
            else {
              await writeFile(path, thing.bytes);
              if (thing.before || !thing.name.endsWith('.new')) laid.push(thing.bytes);
            }
          }
          const { runners, quarantined } = await store.load();
          expect(runners).toEqual(expect.arrayContaining(good));
          const files: Buffer[] = [];
          for (const folder of ['runners', 'quarantine'])
            for (const each of await readdir(join(stateDir, folder), { encoding: 'latin1', withFileTypes: true }))
              if (each.isFile()) files.push(await readFile(pathOf(join(stateDir, folder), each.name)));
          expect(laid.filter((each) => !files.some((file) => file.equals(each)))).toEqual([]);
          expect(await readdir(join(stateDir, 'runners'))).toHaveLength(runners.length);
          expect(await store.load()).toMatchObject({ runners, quarantined, returned: [] });
        } finally {
          await store.close();
          await rm(stateDir, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: 80 },
  );
});
