// The main job on a real host: a waiting Forgejo job becomes one container, runs, and vanishes.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { addServiceAddress, createService, nothing, type Service } from '../support/service.ts';

let forgejo: ForgejoStandIn;
let service: Service;

beforeAll(async () => {
  await addServiceAddress();
  forgejo = await startForgejo({ host: '0.0.0.0' });
  await forgejo.control.addRepository({ repository: 'root1/demo' });
});
afterEach(() => service.dispose());
afterAll(() => forgejo.close());

async function started(config = {}): Promise<Service> {
  service = await createService({
    forge: { url: forgejo.url, token: forgejo.token },
    config,
    registrations: async () => (await forgejo.control.registrations()).length,
  });
  await service.start();
  return service;
}
const queue = (script: string, over = {}) => forgejo.control.queueJob({ repository: 'root1/demo', labels: ['debian'], script, ...over });
/** The job's end; while it does not come, what the service says of it. */
const done = async (id: number, ms = 20_000) => {
  await service.until(`job ${id} is done`, async () => ['success', 'failure', 'cancelled', 'skipped'].includes((await forgejo.control.job(id)).status), ms);
  return forgejo.control.job(id);
};
const clean = () => service.until('nothing is left', async () => JSON.stringify(await service.remains()) === JSON.stringify(nothing));

describe('the main job', () => {
  test('a waiting job is run by a container of its own, its log and result reach Forgejo, and nothing is left', async () => {
    await started();
    const { jobId } = await queue('echo "uid $(id -u) in $(cat /proc/sys/kernel/hostname)"; exit 0');
    const job = await done(jobId);
    expect(job).toMatchObject({ status: 'success', attempt: 1 });
    expect(job.log.join('\n')).toMatch(/uid 0 in j\d{7}[0-9a-z]{3}/);
    await clean();
  });
  test('a job that fails is a failure in Forgejo, and nothing is left', async () => {
    await started();
    const { jobId } = await queue('echo before; exit 3');
    expect(await done(jobId)).toMatchObject({ status: 'failure' });
    await clean();
  });
});
