#!/usr/bin/env node
// Promises argv -> command -> exit code; the only place that ends the process. Exit codes: 0 done, 1 failed, 2 configuration or usage,
// 3 this host cannot run machines, 4 the state directory is held by another, 5 a token file cannot be read now. One of the four places that catch.

import { parseArgs } from 'node:util';
import pkg from '../package.json' with { type: 'json' };
import { configHashOf, loadConfig, renderConfig, writesToJournal, type Config, type LoadOptions } from './config/config.ts';
import type { Order, Orders } from './daemon.ts';
import { hostTime } from './clock.ts';
import { isCommand, oddOption, options, usage } from './commands.ts';
import { isControllerError } from './errors.ts';
import { createEvents } from './events.ts';

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv);
  if (typeof parsed === 'string') {
    process.stderr.write(`forgejo-runner-controller: ${parsed}\n\n${usage()}`);
    return 2;
  }
  const { values, command } = parsed;
  // A reader that has seen enough, such as head. The service itself must not end well without one: systemd is to start it again.
  if (command !== 'run') process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  if (values.help === true) {
    process.stdout.write(usage());
    return 0;
  }
  if (values.version === true) {
    process.stdout.write(`forgejo-runner-controller ${pkg.version}\n`);
    return 0;
  }
  if (command === 'init') {
    const [{ init, askerOn }, { stdin, stdout, stderr }] = [await import('./config/init.ts'), process];
    const ask = askerOn(stdin, stderr);
    return init(values, {
      say: (text) => void stdout.write(text),
      note: (text) => void stderr.write(text),
      ...(ask === undefined ? {} : { ask }),
    });
  }
  const source = { env: process.env, ...(values.config === undefined ? {} : { file: values.config }) };
  if (command === 'doctor') return callDoctor(source, values.json === true);
  if (command === 'check-config') return checkConfig(await loadConfig({ ...source, pending: values.pending === true }));
  // From the first moment on: a signal that comes while the service starts must not end it.
  const orders = takeOrders();
  const config = await loadConfig(source);
  if (command === 'end-all') return endEverything(config, values.yes === true, orders.ending);
  if (command === 'sweep') return sweepUnused(config, values.yes === true);
  const [{ runDaemon }, { createLog, createRedactor }] = await Promise.all([import('./daemon.ts'), import('./log.ts')]);
  const redactor = createRedactor();
  const events = createEvents(hostTime.wall);
  const prioritised = writesToJournal(process.env, 1);
  const log = createLog({ level: config.logLevel, prioritised, redactor, tap: (said) => events.publish(said) });
  const voice = { version: pkg.version, log, mask: redactor.text, events };
  await runDaemon(config, voice, orders, { ...source, read: (guarded) => loadConfig({ ...source, guarded }) });
  return 0;
}

function checkConfig(config: Config): number {
  process.stdout.write(`# configuration ${configHashOf(config)}: /status names the one in force so\n${renderConfig(config)}`);
  for (const warning of config.warnings) process.stderr.write(`warning: ${warning}\n`);
  return 0;
}

async function callDoctor(source: LoadOptions, json: boolean): Promise<number> {
  const [{ examine }, { exitOf, jsonOf, tableOf }] = await Promise.all([import('./daemon-doctor.ts'), import('./doctor.ts')]);
  const findings = await examine(source);
  for (const line of json ? [jsonOf(findings)] : tableOf(findings)) say(line);
  return exitOf(findings);
}

async function sweepUnused(config: Config, confirmed: boolean): Promise<number> {
  const [{ sweep }, { createLog, createRedactor }] = await Promise.all([import('./daemon-sweep.ts'), import('./log.ts')]);
  const redactor = createRedactor();
  const log = createLog({ level: config.logLevel, destination: process.stderr, redactor });
  return (await sweep(config, pkg.version, { confirmed, log, mask: redactor.text, say })) ? 0 : 1;
}

async function endEverything(config: Config, confirmed: boolean, ending: AbortSignal): Promise<number> {
  const [{ endAll }, { createLog, createRedactor }] = await Promise.all([import('./daemon-end-all.ts'), import('./log.ts')]);
  // What it tells a person goes to stdout, the audit lines beside it.
  const redactor = createRedactor();
  const log = createLog({ level: config.logLevel, destination: process.stderr, redactor });
  return (await endAll(config, pkg.version, { confirmed, log, mask: redactor.text, say, ending })) ? 0 : 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function parse(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options });
    const [command = 'run', ...rest] = positionals;
    if (!isCommand(command)) return `there is no command \`${command}\``;
    if (rest.length > 0) return `\`${command}\` takes no arguments, got \`${rest.join(' ')}\``;
    const odd = oddOption(command, Object.keys(values));
    if (odd !== undefined) return `\`${command}\` takes no --${odd}`;
    return { values, command };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Detaches at the first SIGTERM or SIGINT; a second one ends the process at once, which is as safe as any crash. */
function takeOrders(): Orders {
  const early: (readonly [Order, string])[] = [];
  let take = (order: Order, by: string): void => void early.push([order, by]);
  for (const [signal, order] of [
    ['SIGHUP', 'reload'],
    ['SIGUSR1', 'drain'],
    ['SIGUSR2', 'resume'],
  ] as const)
    process.on(signal, () => take(order, `signal ${signal}`));
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort(`signal ${signal}`);
    });
  }
  return {
    ending: controller.signal,
    obey(taker) {
      take = taker;
      for (const [order, by] of early.splice(0)) taker(order, by);
    },
  };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = isControllerError(error);
  const told = known ? `${error.code}: ${error.message}` : `bug: ${String(error instanceof Error ? error.stack : error)}`;
  const text = `forgejo-runner-controller: ${told}\n`;
  // Syslog's priority `error` for each line, where it is the journal that reads it.
  process.stderr.write(writesToJournal(process.env, 2) ? text.replaceAll(/^(?=.)/gm, '<3>') : text);
  process.exit(known ? error.exitCode : 70);
}
