// Promises the service installed on this host as README.md tells a user to: the unit of contrib/systemd where systemd looks for units, program,
// configuration and token at their usual places, nothing of it changed but where node lies. What else a test wants stands in a drop-in.

import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { unitSource, unitTextOf, usualPlaces } from '../../scripts/unit-file.ts';
import type { Scene } from './service-scene.ts';
import { sh, type Service } from './service.ts';

const exec = promisify(execFile);
export const unit = 'forgejo-runner-controller.service';
const unitPath = `/etc/systemd/system/${unit}`;
const dropIns = `${unitPath}.d`;
const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const folders = { program: '/opt/forgejo-runner-controller', config: '/etc/forgejo-runner-controller' };

export type Installed = {
  /** Started and asked by the unit's own name; disposed of with its scene. */
  readonly service: Service;
  /** Lines for a drop-in, in force from the next start on. */
  readonly dropIn: (...lines: readonly string[]) => Promise<void>;
  /** Starts it and waits for its end by itself: its exit code and what it said. */
  readonly fail: () => Promise<{ readonly code: number; readonly said: string }>;
  readonly show: (property: string) => Promise<string>;
};

/** Only the path of node is this host's own. */
export async function installUnit(path = unitPath): Promise<void> {
  await writeFile(path, unitTextOf(unitSource(), { ...usualPlaces, node: process.execPath }));
  await cp(dist, folders.program, { recursive: true });
}

export async function install(
  scene: Scene,
  config: Parameters<Scene['prepare']>[0],
  finished: (close: () => Promise<void>) => void,
): Promise<Installed> {
  finished(async () => {
    await exec('systemctl', ['stop', unit]).catch(() => undefined);
    for (const path of [unitPath, dropIns, ...Object.values(folders)]) await rm(path, { recursive: true, force: true });
    await exec('systemctl', ['daemon-reload']);
  });
  const service = await scene.prepare(config, { controllerId: 'installed', unit, stateDir: '/var/lib/forgejo-runner-controller' });
  await mkdir(folders.config, { recursive: true });
  await mkdir(dropIns, { recursive: true });
  const written = parse(await readFile(service.arguments[1] ?? '', 'utf8')) as { forges: { tokenFile: string }[] };
  for (const forge of written.forges) forge.tokenFile = '$CREDENTIALS_DIRECTORY/forge-token';
  await writeFile(`${folders.config}/config.yaml`, stringify(written), { mode: 0o600 });
  await writeFile(`${folders.config}/token`, await readFile(service.tokenFile), { mode: 0o600 });
  await rm(service.tokenFile);
  await installUnit();
  await exec('systemctl', ['daemon-reload']);
  const show = (property: string): Promise<string> => sh('systemctl', 'show', '--value', `--property=${property}`, unit);
  return {
    service: {
      ...service,
      async start() {
        await exec('systemctl', ['start', unit]);
        await service.until('the service answers', () => true);
      },
    },
    async dropIn(...lines) {
      await writeFile(`${dropIns}/test.conf`, ['[Service]', ...lines, ''].join('\n'));
      await exec('systemctl', ['daemon-reload']);
    },
    async fail() {
      await exec('systemctl', ['start', unit]).catch(() => undefined);
      await service.ended();
      const said = await sh('journalctl', `_SYSTEMD_INVOCATION_ID=${await show('InvocationID')}`, '--output=cat', '--no-pager');
      const code = Number(await show('ExecMainStatus'));
      await exec('systemctl', ['reset-failed', unit]).catch(() => undefined);
      return { code, said };
    },
    show,
  };
}
