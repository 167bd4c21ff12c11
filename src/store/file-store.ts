// Promises the records as one 0600 JSON file each, whole or absent whatever happens: temporary file, fsync, rename, fsync of the folder.
// What cannot be read is moved aside and named, never deleted. The folder belongs to one controller id, and one process at a time.

import { access, constants, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { realpathSync } from 'node:fs';
import { claim } from '../claim.ts';
import { ControllerError, errnoOf } from '../errors.ts';
import { readFolders, type Aside } from './record-folder.ts';
import { decodeAnchor, decodeOwner, encodeAnchor, encodeOwner, encodeRecord } from './record-wire.ts';
import type { AnchorPlace, Loaded, Store } from './store.ts';

export type FileStore = Omit<Store, 'load'> & {
  load(): Promise<Loaded & { readonly aside: readonly Aside[]; readonly returned: readonly string[] }>;
  readonly anchors: AnchorPlace;
  /** Gives the lock back. */
  close(): Promise<void>;
};

export type FileStoreOptions = {
  readonly stateDir: string;
  readonly controllerId: string;
};

/**
 * Opens, and if need be makes, the state directory. Rejects with STATE_LOCKED when a live process holds it or another controller id owns
 * it, and with STORE_FAILED when it cannot be written.
 */
export async function openFileStore({ stateDir, controllerId }: FileStoreOptions): Promise<FileStore> {
  const runners = join(stateDir, 'runners');
  const quarantine = join(stateDir, 'quarantine');
  await failing('make', stateDir, async () => {
    await mkdir(stateDir, { recursive: true, mode: 0o711 });
    await mkdir(runners, { recursive: true, mode: 0o700 });
    await mkdir(quarantine, { recursive: true, mode: 0o700 });
    for (const folder of [stateDir, runners, quarantine]) await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  });
  const unlock = await lock(stateDir);
  try {
    await own(stateDir, controllerId);
  } catch (error) {
    unlock();
    throw error;
  }
  const pathOf = (id: string): string => join(runners, `${id}.json`);
  return {
    load: () =>
      failing('read', runners, async () => {
        const found = await readFolders({ runners, quarantine });
        return { ...found, quarantined: found.aside.map(({ name }) => name) };
      }),
    put: (runner) => failing('write', pathOf(runner.id), () => writeDurably(pathOf(runner.id), encodeRecord(runner))),
    delete: (id) =>
      failing('delete', pathOf(id), async () => {
        await rm(pathOf(id), { force: true });
        await syncFolder(runners);
      }),
    anchors: anchorPlaceOf(join(stateDir, 'clock.json')),
    close: async () => unlock(),
  };
}

/** Gives the lock back. */
async function lock(stateDir: string): Promise<() => void> {
  let release: (() => void) | undefined;
  try {
    release = await claim(`forgejo-runner-controller:${realpathSync(stateDir)}`);
  } catch (error) {
    if (!(error instanceof Error) || errnoOf(error) === undefined) throw error;
    throw new ControllerError('STORE_FAILED', `cannot lock ${stateDir}: ${error.message}`, { cause: error });
  }
  if (release !== undefined) return release;
  const remedy = 'stop it (systemctl stop forgejo-runner-controller), or give this one its own stateDir and controllerId';
  throw new ControllerError('STATE_LOCKED', `another forgejo-runner-controller runs on ${stateDir}; ${remedy}`);
}

/** Names of units and registrations are derived from the controller id: a directory must not change hands unnoticed. */
async function own(stateDir: string, controllerId: string): Promise<void> {
  const path = join(stateDir, 'controller.json');
  const text = await failing('read', path, () => readOrUndefined(path));
  if (text === undefined) {
    await failing('write', path, () => writeDurably(path, encodeOwner(controllerId)));
    return;
  }
  const owner = decodeOwner(text);
  if (owner === controllerId) return;
  const message =
    owner === undefined
      ? `${path} does not say whose state directory this is (damaged, or of a newer version); if it is that of \`${controllerId}\`, move the file away and start again, else use another stateDir`
      : `${stateDir} belongs to the controller \`${owner}\`, this one is \`${controllerId}\`; set controllerId to \`${owner}\` again, or use another stateDir`;
  throw new ControllerError('STATE_LOCKED', message);
}

function anchorPlaceOf(path: string): AnchorPlace {
  return {
    async read() {
      try {
        return decodeAnchor(await readFile(path, 'utf8'));
      } catch (error) {
        if (errnoOf(error) !== undefined) return undefined;
        throw error;
      }
    },
    write: (anchor) => failing('write', path, () => writeDurably(path, encodeAnchor(anchor))),
  };
}

async function readOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(join(path, '..'));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const remedies: ReadonlyMap<string, string> = new Map([
  ['EROFS', 'it is mounted read-only: mount it writable (the kernel log says why it is not), or name it in ReadWritePaths= of the unit'],
  ['ENOSPC', 'the file system is full: make room'],
  ['EDQUOT', 'the quota is used up: raise it, or make room'],
  ['EACCES', 'run the service as root, and give the directory to root'],
  ['EPERM', 'run the service as root, and give the directory to root'],
  ['EIO', 'the disk fails: see the kernel log'],
  ['ENOTDIR', 'something else lies where a folder must be: move it away'],
  ['EEXIST', 'something else lies where a folder must be: move it away'],
  ['EISDIR', 'a folder lies where a file must be: move it away'],
]);

async function failing<T>(verb: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const errno = errnoOf(error);
    if (!(error instanceof Error) || errno === undefined) throw error;
    const remedy = remedies.get(errno);
    const message = `cannot ${verb} ${basename(path)} in the state directory (${path}): ${error.message}`;
    throw new ControllerError('STORE_FAILED', remedy === undefined ? message : `${message}; ${remedy}`, { cause: error });
  }
}
