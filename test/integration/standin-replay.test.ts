// Promises that the stand-in answers as a real Forgejo 16 did: every recorded exchange is either played against it, in the state in which
// it was recorded, or listed here with the reason why it is not.

import { expect, test } from 'vitest';
import { recordedExchanges } from '../support/replay.ts';
import * as scenario from '../support/replay-scenario.ts';

const notClaimed: Readonly<Record<string, string>> = {
  'cancel-running-run-web': 'a form of the web pages with a session cookie; control.cancel does the same',
  'rerun-run-web': 'a form of the web pages with a session cookie; control.rerun does the same',
  'rerun-while-running-web': 'a form of the web pages with a session cookie; control.rerun rejects likewise',
  'commit-status-after-failure': 'nothing of ours reads the state of commits',
  'tasks-list-after-failure': 'nothing of ours reads the list of tasks: the jobs of a run say the same',
  'cron-list-configured': 'the stand-in has no crons, only control.advance',
  'webhook-delivery-action-run-cancelled': 'sent by the server: webhook.test.ts receives them, and the stand-in signs as they are signed',
  'webhook-delivery-action-run-failure': 'sent by the server: webhook.test.ts receives them, and the stand-in signs as they are signed',
  'webhook-delivery-action-run-success': 'sent by the server: webhook.test.ts receives them, and the stand-in signs as they are signed',
  'webhook-delivery-org-action-run-failure-with-authorization-header':
    'sent by the server: webhook.test.ts receives them, and the stand-in signs as they are signed',
  'webhook-delivery-push': 'sent by the server: webhook.test.ts receives them, and the stand-in signs as they are signed',
};

const names = recordedExchanges().map((exchange) => exchange.name);
const claimed = names.filter((name) => !(name in notClaimed));
const outcome = await playAll();

async function playAll(): Promise<scenario.Outcome> {
  const main = await scenario.createStage();
  const people = await scenario.populate(main);
  await scenario.playFirstJob(main, people);
  await scenario.playRegistrations(main, people.stranger);
  await scenario.playFirstTask(main);
  await scenario.playCancels(main);
  await scenario.playCapacity(main);
  await scenario.playGroups(main);
  await scenario.playRedelivery(main);
  await scenario.playHooks(main);
  const later = await scenario.createStage();
  await scenario.populate(later);
  await scenario.playZombies(later);
  await main.forgejo.close();
  await later.forgejo.close();
  return new Map([...main.outcome, ...later.outcome]);
}

test('no two recorded exchanges share a name', () => {
  expect(new Set(names).size).toBe(names.length);
});

test('an exchange is not claimed only if it was recorded', () => {
  expect(Object.keys(notClaimed).filter((name) => !names.includes(name))).toEqual([]);
});

test('every recorded exchange is played or has a reason why not', () => {
  expect(claimed.filter((name) => !outcome.has(name))).toEqual([]);
  expect([...outcome.keys()].filter((name) => name in notClaimed)).toEqual([]);
});

test.each(claimed)('%s is answered as the real Forgejo did', (name) => {
  expect(outcome.get(name)).toEqual([]);
});
