// Promises the demo itself, on a host that can run machines (scripts/demo brings one): Forgejo, the packaged service, eleven jobs, what
// happens to them, their logs, and the count of what is left. Ends with 0 only if every job ended as it should and the count is zero.

import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createDemoForge, type DemoForge } from '../test/demo/forge.ts';
import { rememberHost } from '../test/demo/host.ts';
import { openRelay, type Relay } from '../test/demo/relay.ts';
import { createScreen, type Screen } from '../test/demo/screen.ts';
import { tablesOf } from '../test/demo/tables.ts';
import { createWatch, isOver, type Sight, type StartedRun, type Watch } from '../test/demo/watch.ts';
import { blockedRow, cancelledRow, expectations, files, profiles, runs as plannedRuns, unservedRow } from '../test/demo/workflows.ts';
import { startForgejo } from '../test/support/forgejo/forgejo.ts';
import {
  addServiceAddress,
  createService,
  installRunner,
  nothing,
  serviceAddress,
  sh,
  type Remains,
  type Service,
} from '../test/support/service.ts';

const { values } = parseArgs({
  options: {
    forgejo: { type: 'string' },
    'token-file': { type: 'string', default: '' },
    'instance-url': { type: 'string' },
    runner: { type: 'string' },
    /** A Unix socket that leads to the Forgejo, when this host cannot reach it. */
    relay: { type: 'string' },
    /** A Unix socket that is to lead to the page, when it cannot be reached from where the person is. */
    'page-socket': { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

/** A quiet machine needs a tenth of it; one that is busy with other things may need most. */
const patienceMs = 120_000;
const midwayMs = 5_500;
const id = `frc-demo-${randomBytes(3).toString('hex')}`;
const client = fileURLToPath(new URL('../dist/runner-status.js', import.meta.url));
const unit = 'forgejo-runner-controller-demo.service';
const screen = createScreen({
  isTTY: process.stdout.isTTY,
  columns: Number(process.env['COLUMNS'] ?? '') || process.stdout.columns,
  write: (text) => process.stdout.write(text),
});
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort(new Error(`ended by ${signal}`)));

type Place = { readonly url: string; readonly instanceUrl: string; readonly token: string; readonly real: boolean };

/** Starts the stand-in, or finds the way to the real one. What is opened goes on the stack. */
async function forgejoOf(stack: AsyncDisposableStack): Promise<Place> {
  await addServiceAddress();
  stack.defer(async () => void (await sh('ip', 'address', 'del', `${serviceAddress}/32`, 'dev', 'lo')));
  if (values.forgejo === undefined) {
    const standIn = stack.adopt(await startForgejo({ host: serviceAddress }), (started) => started.close());
    return { url: standIn.url, instanceUrl: standIn.url, token: standIn.token, real: false };
  }
  const token = (await readFile(values['token-file'], 'utf8')).trim();
  const url = new URL(values.forgejo);
  const relayed = async (target: Parameters<typeof openRelay>[1]): Promise<string> => {
    const relay: Relay = stack.adopt(await openRelay({ host: serviceAddress }, target), (opened) => opened.close());
    return `http://${serviceAddress}:${relay.port}`;
  };
  if (values.relay !== undefined) {
    const only = await relayed({ socketPath: values.relay });
    return { url: only, instanceUrl: only, token, real: true };
  }
  // In a machine, loopback is the machine itself.
  const loopback = /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  const instanceUrl = values['instance-url'] ?? (loopback ? await relayed(url) : url.href);
  return { url: url.href, instanceUrl, token, real: true };
}

async function serviceOf(stack: AsyncDisposableStack, place: Place, forge: DemoForge): Promise<Service> {
  stack.defer(await rememberHost());
  const folder = stack.adopt(await mkdtemp('/var/tmp/frc-demo-'), (made) => rm(made, { recursive: true, force: true }));
  const standIn = values.runner === undefined ? await installRunner(`${folder}/runner`) : undefined;
  const service = await createService({
    controllerId: id,
    unit,
    stateDir: `${folder}/state`,
    forge: { url: place.url, instanceUrl: place.instanceUrl, token: place.token, scope: { organization: forge.organization } },
    runner: standIn?.runner ?? values.runner ?? '',
    config: { maxConcurrent: 7, profiles: profiles.map((profile) => ({ ...profile, binds: standIn === undefined ? [] : [standIn.bind] })) },
    registrations: () => forge.registrations(),
  });
  stack.defer(() => service.dispose());
  await service.start();
  return service;
}

/** Where a person can open the page: DEMO_PAGE says which address leads to the socket. */
async function pageOf(stack: AsyncDisposableStack, service: Service): Promise<string> {
  const socket = values['page-socket'];
  if (socket === undefined) return `${service.url}/`;
  stack.adopt(await openRelay({ path: socket }, new URL(service.url), true), (opened) => opened.close());
  return process.env['DEMO_PAGE'] ?? `${service.url}/`;
}

/** Pushes and starts everything; the jobs of the runs by hand are listed at once, those of the push a moment after the commit. */
async function startRuns(forge: DemoForge): Promise<readonly StartedRun[]> {
  for (const [file, text] of Object.entries(files).filter(([name]) => name !== 'demo.yml')) await forge.push(file, text);
  const started: StartedRun[] = [];
  for (const run of plannedRuns) {
    if (run.start === 'push') await forge.push(run.file, files[run.file] ?? '');
    const runId = run.start === 'push' ? await forge.runOf(run.file) : await forge.dispatch(run.file);
    started.push({ ...run, id: runId });
  }
  return started;
}

async function midway(service: Service): Promise<void> {
  const { capacity, active_containers: active, waiting_jobs: waiting, forges } = await service.status();
  screen.heading(`in the middle: ${service.url}/status`);
  for (const { name, version, scope } of forges) screen.say(`forge    ${name}: Forgejo ${version ?? '?'}, ${scope}`);
  screen.say(`capacity ${capacity.used} of ${capacity.max} machines in use`);
  for (const { name, job_id: job, running_seconds: seconds, profile, phase } of active)
    screen.say(`active   ${name}: job ${job}, profile ${profile}, ${phase}, ${Math.round(seconds)} s`);
  for (const { name, labels, sentence } of waiting) screen.say(`waiting  ${name} [${labels.join(', ')}]: ${sentence}`);
  screen.heading('in the middle: machinectl list');
  screen.say(await sh('machinectl', 'list'));
  screen.heading('and on');
}

/** Looks until all but the unserved job are over; shows the middle once, cancels the run that is to be cancelled. */
async function follow(watch: Watch, forge: DemoForge, service: Service, started: readonly StartedRun[]): Promise<readonly Sight[]> {
  const begun = Date.now();
  let shown = false;
  const cancelled = new Set<number>();
  for (;;) {
    ending.signal.throwIfAborted();
    const sights = await watch.look(started);
    screen.draw(sights);
    const of = (name: string): Sight | undefined => sights.find((sight) => sight.name === name);
    const elapsed = Date.now() - begun;
    if (!shown && (of(blockedRow)?.reason === 'back-off' || elapsed > midwayMs) && of(unservedRow)?.reason === 'unmatched') {
      shown = true;
      await midway(service);
    }
    const long = of(cancelledRow);
    if (long?.state === 'running' && Number(long.seconds) > 1 && !cancelled.has(long.run)) {
      cancelled.add(long.run);
      screen.event(`          ${cancelledRow.padEnd(14)}  is being cancelled: POST .../actions/runs/${long.run}/cancel`);
      await forge.cancel(long.run);
    }
    if (shown && sights.length === expectations.length && sights.every(({ name, state }) => name === unservedRow || isOver(state)))
      return sights;
    if (elapsed > patienceMs) throw new Error(`not all jobs ended within ${patienceMs / 1000} s: ${JSON.stringify(sights)}`);
    await sleep(100);
  }
}

async function cancelUnserved(
  watch: Watch,
  forge: DemoForge,
  started: readonly StartedRun[],
  sights: readonly Sight[],
): Promise<readonly Sight[]> {
  const waiting = sights.find(({ name }) => name === unservedRow);
  if (waiting === undefined) throw new Error(`there is no job ${unservedRow}`);
  screen.say(`\n${unservedRow} still waits, because ${waiting.sentence}\nIts run is cancelled, so that Forgejo ends clean.`);
  await forge.cancel(waiting.run);
  for (;;) {
    ending.signal.throwIfAborted();
    const last = await watch.look(started);
    screen.draw(last);
    if (last.every(({ state }) => isOver(state))) return last;
    await sleep(50);
  }
}

/** The last lines of each log, without the times that Forgejo puts before them. */
async function showLogs(forge: DemoForge, sights: readonly Sight[]): Promise<void> {
  screen.heading('logs, as Forgejo has them (the last lines of each)');
  for (const { name, job } of sights) {
    const lines = (await forge.log(job)).split('\n').map((line) => line.replace(/^\d{4}-\d\d-\d\dT\S+ /, '').trimEnd());
    const last = lines.filter((line) => line !== '').slice(-3);
    screen.say(`${name}:${last.length === 0 ? ' none, it never ran' : ''}`);
    for (const line of last) screen.say(`    ${line.length > 150 ? `${line.slice(0, 149)}…` : line}`);
  }
}

/** The table with what was expected; true when it is what came. */
function showResults(sights: readonly Sight[]): boolean {
  screen.heading('result');
  const rows = expectations.map(({ row, result, shows }) => {
    const sight = sights.find(({ name }) => name === row);
    const fine = sight?.state === result;
    return {
      fine,
      name: row,
      state: sight?.state ?? 'none',
      machine: sight?.machine ?? '',
      seconds: sight?.seconds ?? '',
      note: `${fine ? 'ok' : `NOT OK, expected ${result}`}: ${shows}`,
    };
  });
  screen.settle(rows);
  return rows.every(({ fine }) => fine);
}

async function showRemains(service: Service): Promise<boolean> {
  const end = Date.now() + 15_000;
  let left: Remains;
  do {
    left = await service.remains();
    await sleep(50);
  } while (JSON.stringify(left) !== JSON.stringify(nothing) && Date.now() < end && !ending.signal.aborted);
  const { units, namespaces, interfaces, directories, mounts, registrations, records } = left;
  if (records > 0) screen.say(`\nrecords of runners left: ${records}`);
  screen.say(
    `\nleft over: ${units} units, ${namespaces} namespaces, ${interfaces} interfaces, ${directories} directories, ${mounts} mounts, ${registrations} registrations`,
  );
  return Object.values(left).every((count) => count === 0);
}

/** What the command line says at the end; true when it is content. */
async function showTables(service: Service): Promise<boolean> {
  const told = await tablesOf(client, service.url);
  for (const { asked, text } of told) {
    screen.heading(asked);
    screen.say(text);
  }
  return told.every(({ well }) => well);
}

async function keepOn(service: Service, place: Place, page: string): Promise<void> {
  if (!values.keep) return;
  const host = process.env['DEMO_HOST'];
  screen.say(`\nIt goes on: page ${page}, Forgejo ${place.url}, service ${service.unit}, ${service.url}/status. Ctrl-C ends it.`);
  if (host !== undefined) screen.say(`A shell there: TEST_HOST=${host} ./scripts/test-host enter bash`);
  const forever = setInterval(() => undefined, 60_000);
  await new Promise((resolve) => ending.signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(forever);
}

async function run(out: Screen): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const begun = Date.now();
  out.say(
    `Eleven jobs of one Forgejo, each run in a container of its own by the packaged service: four of a matrix and one that needs them, one that fails,
one that runs too long, two that exclude each other, one that is cancelled, and one that asks for a label nobody has.\n`,
  );
  const place = await forgejoOf(stack);
  const forge = createDemoForge(place.url, place.token, id);
  out.say(`Forgejo ${await forge.version()} (${place.real ? values.forgejo : 'the stand-in'}), organization ${id}`);
  await forge.setUp();
  if (place.real) stack.defer(() => forge.tearDown());
  const service = await serviceOf(stack, place, forge);
  out.say(
    `service ${service.unit}, ${service.url}; profiles ${profiles.map(({ name, labels }) => `${name} [${labels.join(', ')}]`).join(', ')}`,
  );
  const page = await pageOf(stack, service);
  out.say(`page ${page} (slots, waiting jobs and logs as they are now)`);
  out.heading('jobs');
  const watch = createWatch({ forge, status: () => service.status(), event: (text) => out.event(text) });
  const started = await startRuns(forge);
  const sights = await follow(watch, forge, service, started);
  const last = await cancelUnserved(watch, forge, started, sights);
  await showLogs(forge, last);
  const asExpected = showResults(last);
  const clean = await showRemains(service);
  const content = await showTables(service);
  const good = asExpected && clean && content;
  out.say(`\n${good ? 'all as it should be' : 'NOT as it should be'}, ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  await keepOn(service, place, page);
  return good;
}

try {
  process.exitCode = (await run(screen)) ? 0 : 1;
} catch (error) {
  screen.say(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
