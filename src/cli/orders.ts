// Promises `drain`, `resume`, `stop`, `poll` and `dispatch`: an order to the service, and in a sentence what became of it. `drain --wait` ends when
// nothing of the service is left; interrupted, it leaves the drain on and says so.

import type { Dispatched, Order } from '../http/wire-v1.ts';
import type { Status } from '../http/wire.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { draw, rawOf } from './client.ts';
import { print, type Command, type Context } from './command.ts';
import { line } from './render.ts';

const lookMs = 1_000;
/** What a process that was interrupted ends with. */
const interrupted = 130;

export const drainCommand: Command = {
  name: 'drain',
  says: 'starts nothing more; what runs goes on, and the service ends when nothing is left',
  flags: { wait: { says: 'ends when nothing is left, and shows how many are' } },
  async run(context, given) {
    await order(context, '/api/v1/drain');
    return given.is('wait') ? waitForNothing(context) : 0;
  },
};

export const resumeCommand: Command = {
  name: 'resume',
  says: 'takes a drain back',
  run: (context) => order(context, '/api/v1/resume'),
};

export const stopCommand: Command = {
  name: 'stop',
  says: 'ends one runner: a job that it had fails, one that it had not begun waits again',
  argument: { name: 'ID' },
  run: (context, { argument }) => order(context, `/api/v1/runners/${encodeURIComponent(argument)}/stop`),
};

export const pollCommand: Command = {
  name: 'poll',
  says: 'asks every forge for jobs now',
  run: (context) => order(context, '/api/v1/poll'),
};

export const dispatchCommand: Command = {
  name: 'dispatch',
  says: 'starts runners that take whatever job with their labels comes first; 1 when not all were accepted',
  flags: {
    labels: { value: 'A,B', says: 'what they are to serve; must be given' },
    count: { value: 'N', says: 'how many, 1 unless said' },
    ttl: { value: 'TIME', says: 'how long each lives at most, job included (20m); as long as its profile allows unless said' },
    forge: { value: 'NAME', says: 'for which forge, where there are several' },
  },
  async run(context, given) {
    const labels = given.text('labels');
    if (labels === undefined) throw new ControllerError('CONFIG_INVALID', '`dispatch` needs --labels A,B');
    const count = given.text('count');
    if (count !== undefined && !/^\d{1,9}$/.test(count)) throw new ControllerError('CONFIG_INVALID', '--count wants a whole number');
    const [ttl, forge] = [given.text('ttl'), given.text('forge')];
    const body = {
      labels: labels.split(','),
      ...(count === undefined ? {} : { count: Number(count) }),
      ...(ttl === undefined ? {} : { ttl }),
      ...(forge === undefined ? {} : { forge }),
    };
    const answer = await context.client.ask<Dispatched>({ method: 'POST', path: '/api/v1/dispatch', schema: 'dispatched', body });
    const drawn = await draw(context.client, answer, ({ sentence, runners }) => [
      line(context.look(), sentence),
      ...runners.map(({ id, profile, until }) => line(context.look(), `${id}  ${profile}  until ${until}`)),
    ]);
    print(context, context.json ? [rawOf(answer)] : drawn);
    return answer.value.refused === 0 ? 0 : 1;
  },
};

async function order(context: Context, path: string): Promise<number> {
  const answer = await context.client.ask<Order>({ method: 'POST', path, schema: 'order' });
  const drawn = await draw(context.client, answer, ({ sentence }) => line(context.look(), sentence));
  print(context, [context.json ? rawOf(answer) : drawn]);
  return 0;
}

async function waitForNothing(context: Context): Promise<number> {
  const { note, ending, clock } = context;
  let told: number | undefined;
  while (!ending.aborted) {
    const left = await leftOf(context);
    const code = typeof left === 'string' ? await endOf(context, left) : left === 0 ? drained(context, 'nothing is left') : undefined;
    if (code !== undefined) return code;
    if (typeof left === 'number' && left !== told) {
      note(`${left} left`);
      told = left;
    }
    await clock.sleep(lookMs, ending);
  }
  note('interrupted; the drain stays on, `runner-status resume` takes it back');
  return interrupted;
}

function drained({ note }: Context, sentence: string): number {
  note(`drained: ${sentence}`);
  return 0;
}

/**
 * A service that is gone has ended by itself, when nothing was left, or has failed: that is systemd's to say; one that systemd does not know
 * has ended. Undefined while it is about to end, or about to come back.
 */
async function endOf(context: Context, left: 'gone' | 'resumed'): Promise<number | undefined> {
  if (left === 'resumed') {
    context.note('it does not drain any more: somebody took it back, or the service was started again');
    return 1;
  }
  const known = await context.systemd();
  if (known?.active === undefined || known.active === 'inactive') return drained(context, 'the service has ended');
  if (known.active !== 'failed') return undefined;
  context.note(`the service was gone before it was drained; systemd: ${known.line}`);
  return 1;
}

/** How many machines and records are left; `resumed` when somebody took the drain back. */
async function leftOf(context: Context): Promise<number | 'gone' | 'resumed' | undefined> {
  try {
    const answer = await context.client.ask<Status>({ path: '/status', schema: 'status' });
    return await draw(context.client, answer, ({ draining, drain }) => (draining ? drain?.left : 'resumed'));
  } catch (error) {
    if (context.ending.aborted) return undefined;
    const gone =
      isControllerError(error, 'API_UNREACHABLE') && (error.details['code'] === 'ECONNREFUSED' || error.details['code'] === 'ENOENT');
    if (gone) return 'gone';
    // Slow or cut: asked again, for an answer is what this waits for.
    if (isControllerError(error, 'API_UNREACHABLE')) return undefined;
    throw error;
  }
}
