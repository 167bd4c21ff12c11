// Promises the one table of what the API answers: the app mounts it and /openapi.json describes it, so that neither can drift from the
// other. Data only; answers are named by their schema, so that the service need not load the schemas.

import type * as wire from './wire.ts';
import type * as v1 from './wire-v1.ts';
import { after, dryRun, follow, job, labels, limit, state, type Parameter } from './parameters.ts';

/** Every kind of answer by its name, which is also its schema's. */
export type Answers = {
  readonly Health: wire.Health;
  readonly Status: wire.Status;
  readonly Runners: v1.Runners;
  readonly Jobs: v1.Jobs;
  readonly Plan: v1.Plan;
  readonly Explain: v1.Explain;
  /** One after the other, as a text/event-stream. */
  readonly Event: v1.Event;
  /** As text/plain. */
  readonly Log: string;
  readonly Order: v1.Order;
  readonly Dispatched: v1.Dispatched;
  readonly Sweep: v1.Sweep;
  readonly OpenApi: Readonly<Record<string, unknown>>;
};

export type Route = {
  readonly method: 'GET' | 'POST';
  /** `{name}` is a parameter. */
  readonly path: string;
  readonly summary: string;
  readonly query: Readonly<Record<string, Parameter<unknown>>>;
  /** The schema of the JSON that it takes; without one a body is refused. */
  readonly body?: 'DispatchWish';
  readonly answer: keyof Answers;
  /** Status codes beside 200 that bear the same answer. */
  readonly also?: readonly number[];
};

const none = {};

export const routes = {
  openApi: { method: 'GET', path: '/openapi.json', summary: 'This description.', query: none, answer: 'OpenApi' },
  health: { method: 'GET', path: '/health', summary: 'Is it well, and if not, why.', query: none, answer: 'Health', also: [503] },
  status: { method: 'GET', path: '/status', summary: 'Everything at one glance.', query: none, answer: 'Status' },
  runners: { method: 'GET', path: '/api/v1/runners', summary: 'Runners with their phase.', query: none, answer: 'Runners' },
  jobs: {
    method: 'GET',
    path: '/api/v1/jobs',
    summary: 'Jobs that wait with the reason, that run, and that are done.',
    query: { state, limit },
    answer: 'Jobs',
  },
  plan: {
    method: 'GET',
    path: '/api/v1/plan',
    summary: 'What would be done now, and why; does nothing.',
    query: none,
    answer: 'Plan',
  },
  explain: {
    method: 'GET',
    path: '/api/v1/explain',
    summary: 'Who serves these labels, or everything known of a job; exactly one of the two.',
    query: { labels, job },
    answer: 'Explain',
  },
  events: {
    method: 'GET',
    path: '/api/v1/events',
    summary: 'What happens, as server-sent events; goes on after the Last-Event-ID.',
    query: { after },
    answer: 'Event',
  },
  log: {
    method: 'GET',
    path: '/api/v1/runners/{id}/log',
    summary: 'What the machine of a runner wrote to its console; of one that has ended with the cause of its end as last line.',
    query: { follow },
    answer: 'Log',
  },
  drain: {
    method: 'POST',
    path: '/api/v1/drain',
    summary: 'Starts nothing more; the service ends when nothing of ours is left.',
    query: none,
    answer: 'Order',
  },
  resume: { method: 'POST', path: '/api/v1/resume', summary: 'Takes a drain back.', query: none, answer: 'Order' },
  poll: { method: 'POST', path: '/api/v1/poll', summary: 'Asks every forge that answers at once.', query: none, answer: 'Order' },
  stop: {
    method: 'POST',
    path: '/api/v1/runners/{id}/stop',
    summary: 'Ends one runner, whatever it does. A job that it had is over; one that it had not waits again.',
    query: none,
    answer: 'Order',
  },
  dispatch: {
    method: 'POST',
    path: '/api/v1/dispatch',
    summary:
      'Starts runners beside what polling finds: each takes one job, whichever with its labels comes first, and is gone after its ttl at the latest.',
    query: none,
    body: 'DispatchWish',
    answer: 'Dispatched',
  },
  sweep: {
    method: 'POST',
    path: '/api/v1/sweep',
    summary: 'Tells what bears our mark and belongs to nothing; removes it with dry_run=false.',
    query: { dry_run: dryRun },
    answer: 'Sweep',
  },
} as const satisfies Readonly<Record<string, Route>>;

export type RouteName = keyof typeof routes;
