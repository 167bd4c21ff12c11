// Promises a whole host inside the test host that can be powered off, cut off and booted again, with the packaged service installed as a user
// would: units and files that outlive the boot. A stand-in Forgejo outside of it is reached over a cable. Nothing of it stays.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { unitSource, unitTextOf } from '../../scripts/unit-file.ts';
import { installRunner, sh } from './service.ts';

const exec = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/test-host', import.meta.url));
const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
/** Of the cable: the outer end, by which the inner host reaches a forge, and its own. */
export const outerAddress = '10.98.0.1';
const innerAddress = '10.98.0.2';
const stateDir = '/var/lib/frc-node';

export type InnerHost = {
  /** Boots and plugs the cable in; the first time, or once more on the same files. */
  boot(): Promise<void>;
  /** systemctl poweroff, as an administrator does it; resolves when the host is off. */
  powerOff(): Promise<void>;
  /** Everything ends at once. */
  cut(): Promise<void>;
  startService(): Promise<void>;
  stopService(): Promise<void>;
  /** Runs a command inside; its standard output. */
  run(...command: readonly string[]): Promise<string>;
  /** Names in a folder of the service's state. */
  state(folder: 'machines' | 'exits' | 'runners'): Promise<readonly string[]>;
  dispose(): Promise<void>;
};

/** A network that goes down with the host like one that is managed: at once when its unit is stopped. */
const networkUnit = `[Unit]
Wants=network.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip link set lo up; ip address replace ${innerAddress}/24 dev cable; ip link set cable up; ip route replace default via ${outerAddress}'
ExecStop=ip link set cable down
`;

/** The unit that is shipped, with the places of this host. */
const serviceUnit = unitTextOf(unitSource(), {
  node: '/usr/local/bin/node',
  program: '/repo/dist/forgejo-runner-controller.js',
  config: '/etc/frc/config.yaml',
  token: '/etc/frc/token',
  kill: '/bin/kill',
}).replace(/^StateDirectory=.*$/m, 'StateDirectory=frc-node');

export async function createInnerHost(forge: { readonly url: string; readonly token: string }): Promise<InnerHost> {
  const base = await mkdtemp('/srv/inner-');
  const dir = `${base}/host`;
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    TEST_HOST: dir,
    TEST_HOST_TREE: '/var/lib/machines/debian',
  };
  const host = async (...args: readonly string[]): Promise<string> =>
    (await exec(script, [...args], { env, maxBuffer: 16 * 1024 * 1024 })).stdout.trim();
  const pid = async (): Promise<string> => (await readFile(`${dir}/pid`, 'utf8')).split(' ')[0] ?? '';
  const isOn = async (): Promise<boolean> => (await readdir('/proc')).includes(await pid());
  let booted = false;

  async function install(): Promise<void> {
    const [units, folder] = [`${dir}/root/etc/systemd/system`, `${dir}/root/etc/frc`];
    await installRunner(`${dir}/root/opt/standin`);
    await mkdir(folder, { recursive: true });
    await writeFile(`${units}/cable.service`, networkUnit);
    await writeFile(`${units}/frc.service`, serviceUnit);
    await writeFile(`${folder}/token`, forge.token, { mode: 0o600 });
    const config = {
      controllerId: 'node',
      stateDir,
      pollInterval: '100ms',
      forges: [{ name: 'main', url: forge.url, scope: { instance: true }, tokenFile: '/etc/frc/token' }],
      profiles: [
        { name: 'default', labels: ['debian'], runner: '/opt/standin/forgejo-runner', binds: ['/opt/standin:/opt/standin:ro'] },
        {
          name: 'disk',
          labels: ['disk'],
          limits: { disk: '64MiB' },
          runner: '/opt/standin/forgejo-runner',
          binds: ['/opt/standin:/opt/standin:ro'],
        },
      ],
    };
    await writeFile(`${folder}/config.yaml`, stringify(config), { mode: 0o600 });
  }

  return {
    async boot() {
      if (booted) await host('again');
      else await host('up', dir, '--bind', `${repository}:/repo`, '--bind', `${process.execPath}:/usr/local/bin/node`);
      if (!booted) await install();
      booted = true;
      await sh('ip', 'link', 'add', 'inner-host', 'type', 'veth', 'peer', 'name', 'cable', 'netns', await pid());
      await sh('ip', 'address', 'add', `${outerAddress}/24`, 'dev', 'inner-host');
      await sh('ip', 'link', 'set', 'inner-host', 'up');
      await host('enter', 'systemctl', 'daemon-reload');
      await host('enter', 'systemctl', 'start', 'cable.service');
    },
    async powerOff() {
      // The call itself ends with the host.
      await host('enter', 'systemctl', 'poweroff').catch(() => '');
      const end = Date.now() + 60_000;
      while (await isOn()) {
        if (Date.now() > end) throw new Error(`the inner host does not go down: ${await readFile(`${dir}/console.log`, 'utf8')}`);
        await sh('sleep', '0.1');
      }
    },
    async cut() {
      process.kill(Number(await pid()), 'SIGKILL');
    },
    async startService() {
      await host('enter', 'systemctl', 'start', 'frc.service');
    },
    async stopService() {
      await host('enter', 'systemctl', 'stop', 'frc.service');
    },
    run: (...command) => host('enter', ...command),
    state: async (folder) => readdir(`${dir}/root${stateDir}/${folder}`),
    async dispose() {
      await host('down');
      await rm(base, { recursive: true, force: true });
    },
  };
}
