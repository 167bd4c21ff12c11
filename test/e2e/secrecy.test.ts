// What a job can find out, asked from inside by a job of the packaged service: nothing of other jobs, of the controller, of its own
// credentials once it runs, of other machines, or of the host's network.

import { readFile, readdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { uidBaseOf } from '../../src/core/subnets.ts';
import { findingsOf, hold, openScene, processesNaming, recordOf, runnerOf, type Scene } from '../support/service-scene.ts';
import { serviceAddress, sh, type Service } from '../support/service.ts';

/** A shell function that says, as `@NAME where`, where the text of /gate/FILE (base64) is found: processes, environments, files. */
const seek = `seek() { # The text is never an argument, or the search would find itself. A process that ends while it is read is no failure of the step.
  needle=$(base64 -d /gate/$2); echo "@$1-length \${#needle}"
  all=$({ cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true; } | tr '\\0' '\\n'); case $all in *"$needle"*) echo "@$1-in processes" ;; esac
  found=$(grep -rlsF -D skip -f <(printf %s "$needle") / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr) || true; echo "@$1-files $found"
}`;

async function give(scene: Scene, name: string, secret: string): Promise<void> {
  await scene.write(name, Buffer.from(secret).toString('base64'));
}

const waitFor = (name: string) => `until [ -e /gate/${name} ]; do sleep 0.05; done`;

async function recordedToken(service: Service, id: string): Promise<string> {
  const token = (await recordOf(service, id)).credentials?.token ?? '';
  if (token.length < 20) throw new Error(`the record of ${id} holds no token`);
  return token;
}

describe('other jobs', () => {
  const places = '/tmp /root "$HOME" /run /var/tmp /dev/shm /etc /var/lib "$PWD"';

  test('what a job leaves anywhere is invisible to the next one and to one beside it', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const leave = `for d in ${places}; do echo canary >"$d/canary-mark" && echo left; done; setsid sleep 600 & cat "$PWD/canary-mark"`;
    const look = `echo "@found $(find / -xdev -name canary-mark 2>/dev/null; for d in ${places}; do ls "$d"/canary-mark 2>/dev/null; done)"
      echo "@others $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[s]leep 600')"; echo "@through yes"`;
    const beside = await scene.queue(`${leave}; echo @left; ${hold}`);
    expect((await scene.says(service, beside, '@left')).log.filter((line) => line.endsWith('left')).length).toBeGreaterThan(8);
    const before = await scene.done(service, await scene.queue(leave));
    expect(before.status).toBe('success');
    const job = await scene.done(service, await scene.queue(look));
    expect(findingsOf(job)).toEqual({ found: '', others: '0', through: 'yes' });
    await scene.open();
    expect(await scene.done(service, beside)).toMatchObject({ status: 'success' });
    await scene.clean(service);
  });
});

describe('secrets', () => {
  test.each([{ kind: 'host' }, { kind: 'directory', path: '/var/lib/machines/debian' }])(
    "I7 in a machine of template $kind neither the controller's token nor the runner's is anywhere once the job runs",
    async (template) => {
      const closers: (() => Promise<void>)[] = [];
      const scene = await openScene((close) => closers.push(close));
      try {
        const service = await scene.start({ profiles: [{ name: 'default', labels: ['debian'], template }] });
        const script = `${seek}\n${waitFor('runner')}; seek runner runner; seek controller controller
          echo "@fifo $(ls -A /run/forgejo-runner/assign | wc -l)"; echo "@sockets $(find / -xdev -type p 2>/dev/null | grep -c assign || true)"
          echo "@state $(ls -d ${service.stateDir} ${service.tokenFile} 2>/dev/null || true)"; echo "@through yes"`;
        const queued = await scene.queue(script);
        const { runners } = await service.until('it runs', (status) => runnerOf(status, queued)?.phase === 'busy');
        const token = await recordedToken(service, runners[0]?.id ?? '');
        await give(scene, 'controller', scene.forgejo.token);
        await give(scene, 'runner', token);
        const job = await scene.done(service, queued);
        expect(findingsOf(job)).toEqual({
          'runner-length': String(token.length),
          'runner-files': '',
          'controller-length': String(scene.forgejo.token.length),
          'controller-files': '',
          fifo: '0',
          sockets: '0',
          state: '',
          through: 'yes',
        });
        await scene.clean(service);
      } finally {
        for (const close of closers) await close();
      }
    },
  );

  test("I7 on the host the tokens are in no process, journal, answer or machine's folder", async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const queued = await scene.running(service);
    const { runners } = await service.until('it is busy', (status) => runnerOf(status, queued)?.phase === 'busy');
    const secrets = { controller: scene.forgejo.token, runner: await recordedToken(service, runners[0]?.id ?? '') };
    const answers = await Promise.all(['/status', '/health', '/'].map(async (path) => (await fetch(`${service.url}${path}`)).text()));
    const journal = await sh('journalctl', '--no-pager', '--output=export');
    for (const [name, secret] of Object.entries(secrets)) {
      expect([name, await processesNaming(secret)]).toEqual([name, []]);
      expect([name, answers.join('\n').includes(secret), journal.includes(secret)]).toEqual([name, false, false]);
      const files = await sh('sh', '-c', `grep -rlsF -D skip -e ${secret} ${service.stateDir} /run/systemd /etc || true`);
      expect([name, files]).toEqual([name, name === 'runner' ? `${service.stateDir}/runners/${runners[0]?.id}.json` : '']);
    }
    expect(await sh('stat', '-c', '%a', `${service.stateDir}/runners/${runners[0]?.id}.json`)).toBe('600');
    await scene.open();
    await scene.done(service, queued);
    await scene.clean(service);
    expect(await sh('sh', '-c', `grep -rlsF -e ${secrets.runner} ${service.stateDir} || true`)).toBe('');
  });
});

describe('who a job is', () => {
  test("root inside is on the host a uid of its slot's range, and of no other job's", async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const jobs = [];
    for (const mark of ['frc-mark-one', 'frc-mark-two'])
      jobs.push(await scene.queue(`echo "@uid $(id -u)"; exec -a ${mark} bash -c '${hold}; :'`));
    for (const job of jobs) expect(findingsOf(await scene.says(service, job, '@uid'))).toEqual({ uid: '0' });
    const status = await service.status();
    for (const [index, mark] of ['frc-mark-one', 'frc-mark-two'].entries()) {
      const uids = new Set<number>();
      for (const id of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
        // A process that has just ended is not the one that is looked for.
        const line = await readFile(`/proc/${id}/cmdline`, 'latin1').catch(() => '');
        if (line.startsWith(`${mark}\0`)) uids.add(Number(/^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${id}/status`, 'utf8'))?.[1]));
      }
      const { network } = parse(await readFile(service.arguments[1] ?? '', 'utf8')) as { network: { pool: string } };
      const [first = '', last = ''] = network.pool.split('-');
      const slot = runnerOf(status, jobs[index] ?? { jobId: 0 })?.slot ?? -1;
      expect([...uids]).toEqual([uidBaseOf({ first, last, prefix: 24 }, slot)]);
    }
    await scene.open();
    for (const job of jobs) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
  });
});

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()).end('hello\n'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  return server;
}

describe('the network', () => {
  test('a job reaches the forge, and no other machine, no other port of the host, no metadata service and no IPv6', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    await sh('sh', '-c', 'ip address replace 169.254.169.254/32 dev lo; ip -6 address replace fd00:99::1/128 dev lo 2>/dev/null || true');
    onTestFinished(async () => void (await sh('ip', 'address', 'del', '169.254.169.254/32', 'dev', 'lo')));
    const servers = [await listen(3901, '0.0.0.0'), await listen(80, '169.254.169.254')];
    onTestFinished(() => servers.forEach((server) => server.close()));
    const service = await scene.start();
    const serve = 'require("net").createServer((s) => s.end("hello")).listen(9000, () => console.log("@listens"))';
    const neighbour = await scene.queue(`/opt/standin/node -e '${serve}' & ${hold}; kill $!`);
    await scene.says(service, neighbour, '@listens');
    const machine = runnerOf(await service.status(), neighbour)?.machine ?? '';
    const namespace = `forgejo-runner-${service.controllerId}-${machine}`;
    const inside = /inet (\d+\.\d+\.\d+\.\d+)\/\d+ .*eth0/.exec(await sh('ip', '-n', namespace, '-o', '-4', 'address'))?.[1] ?? '';
    // The host itself reaches it: it is there to be found.
    expect(await sh('bash', '-c', `timeout 2 bash -c 'exec 3<>/dev/tcp/${inside}/9000' && echo open`)).toBe('open');
    const targets = {
      forge: `${serviceAddress}/${new URL(scene.forgejo.url).port}`,
      neighbour: `${inside}/9000`,
      host: `${serviceAddress}/3901`,
      api: `${serviceAddress}/${new URL(service.url).port}`,
      metadata: '169.254.169.254/80',
      v6: 'fd00:99::1/3901',
    };
    const script = `try() { timeout 2 bash -c "exec 3<>/dev/tcp/$2" 2>/dev/null && echo "@$1 open" || echo "@$1 shut"; }
      ${Object.entries({ ...targets, gateway: '$gateway/3901' })
        .map(([name, target]) => `try ${name} "${target}" &`)
        .join(' ')
        .replace(
          /^/,
          `hex=$(awk '$2 == "00000000" { print $3 }' /proc/net/route); gateway=$((16#\${hex:6:2})).$((16#\${hex:4:2})).$((16#\${hex:2:2})).$((16#\${hex:0:2})); echo "@via $gateway"; `,
        )}
      wait; echo "@addresses6 $(grep -vc ' lo$' /proc/net/if_inet6)"`;
    const job = await scene.done(service, await scene.queue(script));
    expect(findingsOf(job)).toEqual({
      via: expect.stringMatching(/^192\.168\.\d+\.10$/),
      forge: 'open',
      neighbour: 'shut',
      host: 'shut',
      gateway: 'shut',
      api: 'shut',
      metadata: 'shut',
      v6: 'shut',
      addresses6: '0',
    });
    await scene.open();
    await scene.done(service, neighbour);
    await scene.clean(service);
  });
});
