// Promises the packaged service as a systemd unit on this host, as a user runs it: built program, YAML file, token file, journal. Only
// names of its own are used, and dispose() leaves none of them. For the test host and the demo; nothing in src/ knows it.

import { execFile } from 'node:child_process';
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { unitSource } from '../../scripts/unit-file.ts';
import type { Status } from '../../src/http/wire.ts';
import { buildRunner } from './runner/build.ts';

const exec = promisify(execFile);
const program = fileURLToPath(new URL('../../dist/forgejo-runner-controller.js', import.meta.url));

/** Runs a command to its end; stdout, trimmed. Rejects with stderr when it fails. */
export async function sh(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await exec(command, [...args], { maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** The address that machines reach this host's services by; of the throw-away host's loopback interface, which has nothing else. */
export const serviceAddress = '10.99.0.1';

export async function addServiceAddress(): Promise<void> {
  await exec('ip', ['address', 'replace', `${serviceAddress}/32`, 'dev', 'lo']);
}

/** A folder that machines see as /opt/standin, with a node and the stand-in runner. */
export async function installRunner(folder = '/opt/standin'): Promise<InstalledRunner> {
  // Once for a process: a machine may be running the file that is there.
  installed.set(folder, installed.get(folder) ?? install(folder));
  return installed.get(folder) ?? install(folder);
}

type InstalledRunner = { readonly runner: string; readonly bind: string };
const installed = new Map<string, Promise<InstalledRunner>>();

async function install(folder: string): Promise<InstalledRunner> {
  await mkdir(folder, { recursive: true });
  const node = join(folder, 'node');
  await access(node).catch(() => copyFile(process.execPath, node));
  await chmod(node, 0o755);
  const runner = await buildRunner(join(folder, 'forgejo-runner'), '#!/opt/standin/node');
  return { runner, bind: `${folder}:/opt/standin:ro` };
}

/** What is left on the host and in the forge of everything that bears the controller's mark; zero of each is clean. */
export type Remains = {
  readonly units: number;
  readonly namespaces: number;
  readonly interfaces: number;
  readonly directories: number;
  readonly mounts: number;
  readonly records: number;
  readonly registrations: number;
};

export const nothing: Remains = { units: 0, namespaces: 0, interfaces: 0, directories: 0, mounts: 0, records: 0, registrations: 0 };

export type ServiceOptions = {
  readonly controllerId?: string;
  /** Names of its own that the demo shows to people; default: names that say it is under test. */
  readonly unit?: string;
  readonly stateDir?: string;
  readonly forge: {
    readonly url: string;
    readonly instanceUrl?: string;
    readonly token: string;
    readonly scope?: Readonly<Record<string, unknown>>;
    /** More of its entry; {PORT} stands for the service's own. */
    readonly more?: Readonly<Record<string, unknown>>;
  };
  /** More of the YAML file; `profiles` without runner and binds get the stand-in's. */
  readonly config?: Readonly<Record<string, unknown>> & { readonly profiles?: readonly Readonly<Record<string, unknown>>[] };
  /** A real forgejo-runner to use in place of the stand-in. */
  readonly runner?: string;
  /** Start it by these variables alone, without a file; {TOKEN_FILE}, {STATE_DIR}, {PORT} and {ID} stand for its own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** How many registrations of the controller the forge has. */
  readonly registrations: (controllerId: string) => Promise<number>;
  /** More of the unit, e.g. `Restart=on-failure`. */
  readonly properties?: readonly string[];
};

/** How a service was ended by systemctl stop: how long it took, and systemd's words, e.g. `success exited 0`. */
export type Stopped = { readonly ms: number; readonly result: string };

export type Service = {
  readonly unit: string;
  readonly stateDir: string;
  readonly controllerId: string;
  readonly url: string;
  /** `--config FILE`, or nothing when the environment is all there is. */
  readonly arguments: readonly string[];
  readonly tokenFile: string;
  /** Resolves once /status answers. */
  start(): Promise<void>;
  /** systemctl stop: SIGTERM, as an upgrade does it. */
  stop(): Promise<Stopped>;
  /** systemctl reload, after the YAML file was written anew with `over` in place of what it had; a string is written as it is. */
  reload(over: ServiceOptions['config'] | string): Promise<void>;
  signal(name: 'SIGTERM' | 'SIGUSR1' | 'SIGUSR2'): Promise<void>;
  /** Resolves when it has ended by itself and stays down: systemd's words, as of stop(). */
  ended(ms?: number): Promise<string>;
  /** kill -9 of the controller alone. */
  kill(): Promise<void>;
  pid(): Promise<number>;
  status(): Promise<Status>;
  /** The journal of the service since it was first started, one JSON line each. */
  log(): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Resolves once the condition holds; rejects, with the last status in the message, when it does not within `ms`. */
  until(what: string, holds: (status: Status) => boolean | Promise<boolean>, ms?: number): Promise<Status>;
  remains(): Promise<Remains>;
  /** Ends the service and everything it made, whatever state it is in. */
  dispose(): Promise<void>;
};

let counter = 0;

export async function createService(options: ServiceOptions): Promise<Service> {
  counter += 1;
  // Taken before anything is awaited: another service may be made meanwhile.
  const number = counter;
  const controllerId = options.controllerId ?? `t${process.pid}-${number}`;
  const unit = options.unit ?? `frc-under-test-${controllerId}.service`;
  const folder = await mkdtemp(join(tmpdir(), 'frc-service-'));
  const stateDir = options.stateDir ?? join('/var/lib', `frc-${controllerId}`);
  const exitFile = join(folder, 'exit');
  const port = 20_000 + ((process.pid * 7 + number) % 10_000);
  const url = `http://127.0.0.1:${port}`;
  const places: Places = { controllerId, stateDir, port, tokenFile: join(folder, 'token'), slice: number };
  const configFile = join(folder, 'config.yaml');
  await writeFile(places.tokenFile, `${options.forge.token}\n`, { mode: 0o600 });
  await writeFile(configFile, stringify(await configOf(options, places)), { mode: 0o600 });
  const programArguments = options.environment === undefined ? ['--config', configFile] : [];

  async function status(): Promise<Status> {
    const response = await fetch(`${url}/status`, { signal: AbortSignal.timeout(5_000) });
    return (await response.json()) as Status;
  }

  async function start(): Promise<void> {
    await exec('systemd-run', [
      '--quiet',
      '--collect',
      `--unit=${unit}`,
      ...(await shippedProperties(stateDir)).flatMap((property) => ['-p', property]),
      ...(options.properties ?? []).flatMap((property) => ['-p', property]),
      '-p',
      `ExecStopPost=+/bin/sh -c 'echo "$$SERVICE_RESULT $$EXIT_CODE $$EXIT_STATUS" >${exitFile}'`,
      ...settingsOf(options.environment, places),
      process.execPath,
      '--optimize-for-size',
      '--max-semi-space-size=1',
      '--liftoff',
      '--no-wasm-tier-up',
      '--no-wasm-dynamic-tiering',
      '--no-memory-reducer',
      program,
      ...programArguments,
    ]);
    await until('the service answers', () => true);
  }

  async function failIfDead(): Promise<void> {
    const state = await sh('systemctl', 'show', '--property=ActiveState', '--value', unit).catch(() => 'unknown');
    // On its way down it may be on its way up again; and systemd itself may not answer for a moment.
    if (['active', 'activating', 'deactivating', 'unknown'].includes(state)) return;
    throw new Error(`the service does not run (${state}): ${await journal(unit)}`);
  }

  async function until(what: string, holds: (status: Status) => boolean | Promise<boolean>, ms = 30_000): Promise<Status> {
    const end = Date.now() + ms;
    let last: Status | undefined;
    let failure: unknown;
    while (Date.now() < end) {
      try {
        last = await status();
      } catch (error) {
        failure = error;
        await failIfDead();
      }
      if (last !== undefined && (await holds(last))) return last;
      await sleep(25);
    }
    throw new Error(`not within ${ms} ms: ${what}; last status ${JSON.stringify(last ?? String(failure))}; ${await journal(unit)}`);
  }

  const pid = async (): Promise<number> => Number(await sh('systemctl', 'show', '--property=MainPID', '--value', unit));
  const stop = async (): Promise<Stopped> => {
    const begun = Date.now();
    // Not loaded any more = ended before, which is what the exit record then says.
    await exec('systemctl', ['stop', unit]).catch(() => undefined);
    return { ms: Date.now() - begun, result: (await readFile(exitFile, 'utf8').catch(() => 'never started')).trim() };
  };

  return {
    unit,
    stateDir,
    controllerId,
    url,
    arguments: programArguments,
    tokenFile: places.tokenFile,
    start,
    stop,
    async reload(over) {
      const text =
        typeof over === 'string' ? over : stringify(await configOf({ ...options, config: { ...options.config, ...over } }, places));
      await writeFile(configFile, text, { mode: 0o600 });
      await exec('systemctl', ['reload', unit]);
    },
    signal: async (name) => void process.kill(await pid(), name),
    async ended(ms = 30_000) {
      for (const end = Date.now() + ms; Date.now() < end; await sleep(25)) {
        const state = await sh('systemctl', 'show', '--property=ActiveState', '--value', unit);
        if (state === 'inactive' || state === 'failed') return (await stop()).result;
      }
      throw new Error(`${unit} did not end by itself within ${ms} ms: ${await journal(unit)}`);
    },
    async kill() {
      process.kill(await pid(), 'SIGKILL');
      // Its name cannot be used again before systemd has run ExecStopPost and forgotten the unit.
      for (const end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
        if ((await sh('systemctl', 'show', '--property=LoadState', '--value', unit)) === 'not-found') return;
        await exec('systemctl', ['reset-failed', unit]).catch(() => undefined);
      }
      throw new Error(`systemd still knows ${unit} 10 s after it was killed`);
    },
    pid,
    status,
    log: async () =>
      (await journal(unit)).split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : [])),
    until,
    remains: () => remainsOf(controllerId, stateDir, () => options.registrations(controllerId)),
    async dispose() {
      await stop();
      for (const name of await unitsOf(controllerId)) await exec('systemctl', ['kill', '-s', 'KILL', name]).catch(() => undefined);
      for (const name of await unitsOf(controllerId)) await exec('systemctl', ['stop', name]).catch(() => undefined);
      for (const name of await entries('/run/netns', `forgejo-runner-${controllerId}-`))
        await exec('ip', ['netns', 'del', name]).catch(() => undefined);
      await exec('nft', ['delete', 'table', 'inet', `forgejo-runner-${controllerId}`]).catch(() => undefined);
      for (const mount of await mountsBelow(stateDir)) await exec('umount', ['-l', mount]).catch(() => undefined);
      await rm(stateDir, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * What nix/unit.json says of the service, its sandbox above all; but nobody starts it again, and its state is where this test wants it. A command
 * line and a credential are each test's own.
 */
async function shippedProperties(stateDir: string): Promise<readonly string[]> {
  const own = /^(?:Type|ExecStart|LoadCredential|StateDirectory|Restart\w*)$/;
  const shipped = Object.entries(unitSource().Service)
    .filter(([name]) => !own.test(name))
    .flatMap(([name, value]) =>
      (typeof value === 'string' ? [value] : value).map((each) => `${name}=${each.replace('@kill@', '/bin/kill')}`),
    );
  const [, name] = /^\/var\/lib\/([^/]+)$/.exec(stateDir) ?? [];
  if (name !== undefined) return [...shipped, `StateDirectory=${name}`];
  await mkdir(stateDir, { recursive: true, mode: 0o711 });
  return [...shipped, `ReadWritePaths=${stateDir}`];
}

type Places = {
  readonly controllerId: string;
  readonly stateDir: string;
  readonly port: number;
  readonly tokenFile: string;
  /** Tells the address pools of services apart that run side by side. */
  readonly slice: number;
};

function settingsOf(environment: Readonly<Record<string, string>> | undefined, places: Places): string[] {
  const own: Readonly<Record<string, string>> = {
    TOKEN_FILE: places.tokenFile,
    STATE_DIR: places.stateDir,
    PORT: String(places.port),
    ID: places.controllerId,
  };
  return Object.entries(environment ?? {}).map(
    ([name, value]) => `--setenv=${name}=${value.replaceAll(/\{([A-Z_]+)\}/g, (_, key: string) => own[key] ?? '')}`,
  );
}

async function configOf(
  { forge, config = {}, runner }: ServiceOptions,
  { controllerId, stateDir, port, tokenFile, slice }: Places,
): Promise<unknown> {
  const standIn = runner === undefined ? await installRunner() : { runner, bind: undefined };
  const { profiles = [{ name: 'default', labels: ['debian'] }], ...rest } = config;
  const block = 100 + (slice % 10) * 10;
  const more: unknown = JSON.parse(JSON.stringify(forge.more ?? {}).replaceAll('{PORT}', String(port)));
  const { token: _, scope = { instance: true }, instanceUrl = forge.url.replace('127.0.0.1', serviceAddress), url } = forge;
  return {
    controllerId,
    stateDir,
    http: { port },
    network: { pool: `192.168.${block}.0-192.168.${block + 9}.255`, allow: [`${serviceAddress}/32`] },
    ...rest,
    forges: [{ name: 'main', url, instanceUrl, scope, tokenFile, ...Object(more) }],
    profiles: profiles.map((profile) => ({
      runner: standIn.runner,
      ...(standIn.bind === undefined ? {} : { binds: [standIn.bind] }),
      ...profile,
    })),
  };
}

async function journal(unit: string): Promise<string> {
  await exec('journalctl', ['--sync']).catch(() => undefined);
  return sh('journalctl', '--unit', unit, '--output=cat', '--no-pager').catch(String);
}

async function entries(folder: string, prefix: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => name.startsWith(prefix));
}

async function unitsOf(controllerId: string): Promise<string[]> {
  const listed = await sh('systemctl', 'list-units', '--all', '--plain', '--no-legend', `forgejo-runner-${controllerId}-*`);
  return listed.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

async function mountsBelow(folder: string): Promise<string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  return mounts
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((at) => at.startsWith(`${folder}/`))
    .toReversed();
}

async function remainsOf(controllerId: string, stateDir: string, registrations: () => Promise<number>): Promise<Remains> {
  const interfaces = await entries('/sys/class/net', 'fr-');
  const aliases = await Promise.all(interfaces.map((name) => readFile(`/sys/class/net/${name}/ifalias`, 'utf8').catch(() => '')));
  return {
    units: (await unitsOf(controllerId)).length,
    namespaces: (await entries('/run/netns', `forgejo-runner-${controllerId}-`)).length,
    interfaces: aliases.filter((alias) => alias.trim() === `forgejo-runner-controller:${controllerId}`).length,
    directories: (await entries(join(stateDir, 'machines'), '')).length + (await entries(join(stateDir, 'exits'), '')).length,
    mounts: (await mountsBelow(stateDir)).length,
    records: (await entries(join(stateDir, 'runners'), '')).length,
    registrations: await registrations(),
  };
}
