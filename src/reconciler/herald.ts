// Promises that the log says a fact when it becomes true and not at every tick: why a job is denied, a forge that stops or starts to answer,
// a host that cannot be read, another host under our name.

import type { Denial, ForgeName, Policy, World } from '../core/model.ts';
import { isNamesake } from '../core/naming.ts';
import type { Log } from '../log.ts';
import type { Poller } from './poller.ts';

export type Herald = {
  forges(pollers: ReadonlyMap<ForgeName, Poller>): void;
  host(machines: World['machines']): void;
  /** `full`: why the host has no room for more; undefined when it has. */
  room(full: string | undefined): void;
  denials(denials: readonly Denial[]): void;
  registrations(registrations: World['registrations'], policy: Policy): void;
};

/** A line is written before the next thing is done: of ten thousand jobs that begin to wait at once, the rest is told at the next ticks. */
const denialsPerTick = 200;

export function createHerald(log: Log): Herald {
  const said = new Map<string, string>();
  const isNews = (subject: string, fact: string): boolean => (said.get(subject) ?? '') !== fact;
  const sayOnce = (subject: string, fact: string, say: () => void): void => {
    if (!isNews(subject, fact)) return;
    said.set(subject, fact);
    say();
  };
  return {
    forges(pollers) {
      for (const [name, poller] of pollers) {
        const { error, lastGoodPollAt } = poller.status();
        sayOnce(`forge ${name}`, error?.code ?? (lastGoodPollAt === undefined ? '' : 'answers'), () => {
          if (error === undefined) log.info('poll', { forge: name }, 'the forge answers');
          else log.warn('forge-error', { forge: name, code: error.code }, error.message);
        });
      }
    },
    host(machines) {
      sayOnce('host', machines.state === 'known' ? '' : machines.reason, () => {
        if (machines.state === 'unknown') log.error('host-error', {}, machines.reason);
        else log.info('maintenance', {}, 'the host can be read again');
      });
    },
    room(full) {
      sayOnce('room', full === undefined ? '' : 'full', () => {
        if (full === undefined) log.info('maintenance', {}, 'there is room for machines again');
        else log.warn('host-error', {}, full);
      });
    },
    denials(denials) {
      const subjects = new Set<string>();
      let room = denialsPerTick;
      for (const { job, reason, sentence } of denials) {
        const subject = `deny ${job.forge} ${job.id}.${job.attempt}`;
        subjects.add(subject);
        const facts = { forge: job.forge, repository: job.repositoryId, job: job.id, handle: job.handle, name: job.name, reason };
        if (!isNews(subject, reason) || room === 0) continue;
        room -= 1;
        sayOnce(subject, reason, () => log.info('deny', facts, sentence));
      }
      for (const subject of said.keys()) if (subject.startsWith('deny ') && !subjects.has(subject)) said.delete(subject);
    },
    registrations(registrations, policy) {
      for (const reading of registrations.values()) {
        if (reading.state !== 'known') continue;
        const namesake = reading.value.find((registration) => isNamesake(registration, policy));
        if (namesake === undefined) continue;
        const { name, description } = namesake;
        const remedy = `another host uses the controllerId \`${policy.controllerId}\`; give each controller its own, its registrations are left alone`;
        sayOnce('namesake', description, () => log.warn('warning', { registration: name, description }, remedy));
      }
    },
  };
}
