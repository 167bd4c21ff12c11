// Promises containers of a job's own in machines of a profile that asks for them, by a real Podman and a real docker command: run, built, with
// networks and ports; no more on the host than the job itself; and gone with the machine.

import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { uidBaseOf } from '../../src/core/subnets.ts';
import { assignmentOf } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost, type NspawnWorld } from '../contract/nspawn-world.ts';
import { findingsOf, openScene } from '../support/service-scene.ts';

/** A root with Podman in it, bound into the host by scripts/test. */
const root = '/opt/podman';
const id = 'j0000001abc';
const pool = { first: '192.168.100.0', last: '192.168.199.255', prefix: 24 };
const template = { kind: 'system', path: root } as const;

/** An image of one static program under many names; no registry is asked. */
const image = `mkdir -p /tmp/image/bin /tmp/image/etc /tmp/image/tmp; cp /bin/busybox /tmp/image/bin/
  for name in sh cat id ls sleep timeout httpd wget mount mknod ip touch stat grep; do ln -sf busybox /tmp/image/bin/$name; done
  tar -C /tmp/image -c . | docker import - busy >/dev/null`;

let world: NspawnWorld;
async function use(profile: Partial<Profile> = { containers: 'podman' }): Promise<NspawnWorld> {
  world = await createNspawnWorld({ controllerId: 'containers', template, profile });
  return world;
}

/** Processes of the host whose user is of that machine. */
async function processesOf(slot: number): Promise<readonly { readonly pid: string; readonly command: string }[]> {
  const base = uidBaseOf(pool, slot);
  const found = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => {
        const [status, command] = await Promise.all(
          ['status', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
        );
        const uid = Number(/^Uid:\t(\d+)/m.exec(status ?? '')?.[1] ?? -1);
        return uid >= base && uid < base + 65_536 ? [{ pid, command: (command ?? '').replaceAll('\0', ' ').trim() }] : [];
      }),
  );
  return found.flat();
}

describe.runIf(existsSync(root))('a machine whose jobs may run containers', () => {
  afterEach(async () => world.close());

  test('runs and builds them by docker and by podman, with files of the job', async () => {
    await use();
    await world.driver.check();
    const { output, code } = await world.probe(
      id,
      0,
      `exec 2>&1; set -e; cd /tmp; ${image}
       echo from the job >given; printf 'FROM busy\\nRUN echo made >/made\\nCOPY given /\\nCMD cat /made /given\\n' >Dockerfile
       docker build -q -t one . >/dev/null; docker run --rm one
       podman build -q -t two . >/dev/null; podman run --rm two
       docker run --rm --memory 64m --cpus 1 -v /tmp:/there -v kept:/kept -w /there busy sh -c 'id; cat given >/kept/a'
       docker run --rm -v kept:/kept busy cat /kept/a; docker -H unix:///var/run/docker.sock ps -q`,
    );
    expect(output.split('\n')).toEqual(['made', 'from the job', 'made', 'from the job', 'uid=0 gid=0', 'from the job']);
    expect(code).toBe(0);
  });

  test('gives them networks, names and ports, and lets its job into them, as a runner does with services', async () => {
    await use();
    await world.driver.check();
    const { output, code } = await world.probe(
      id,
      0,
      `exec 2>&1; set -e; cd /tmp; ${image}; echo from the job >given
       docker network create inner >/dev/null; docker run -d --name web --network inner -p 8080:80 busy httpd -f -h /tmp >/dev/null
       docker cp given web:/tmp/ >/dev/null; docker exec web cat /tmp/given
       docker run --rm --network inner busy wget -q -O - http://web/given; busybox wget -q -O - http://127.0.0.1:8080/given
       docker rm -f web >/dev/null; docker network rm inner >/dev/null; docker ps -aq`,
    );
    expect(output.split('\n')).toEqual(['from the job', 'from the job', 'from the job']);
    expect(code).toBe(0);
  });

  test('checks on the health of those that ask for it, which a runner waits for before the first step', async () => {
    await use();
    await world.driver.check();
    const { output, code } = await world.probe(
      id,
      0,
      `exec 2>&1; set -e; cd /tmp; ${image}
       run() { name=$1; shift; docker run -d --name "$name" "$@" >/dev/null; }
       run well --health-cmd 'stat /tmp/ready' --health-interval 1s --health-retries 1000 busy sleep 1000
       run ill --health-cmd 'stat /never' --health-interval 200ms --health-retries 2 busy sleep 1000
       run unasked busy sleep 1000; run unwanted --no-healthcheck busy sleep 1000
       health() { docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1"; }
       failed() { docker inspect -f '{{len .State.Health.Log}}' well; }
       until [ "$(failed)" -gt 0 ]; do sleep 0.1; done
       echo "well $(health well)"; docker exec well touch /tmp/ready
       for name in well ill; do until [ "$(health $name)" != starting ]; do sleep 0.1; done; echo "$name $(health $name)"; done
       for name in unasked unwanted; do echo "$name <$(health $name)>"; done
       docker rm -f well ill unasked unwanted >/dev/null; docker ps -aq`,
    );
    expect(output.split('\n')).toEqual(['well starting', 'well healthy', 'ill unhealthy', 'unasked <>', 'unwanted <>']);
    expect(code).toBe(0);
  });

  test('gives a container no more of the host than the job has, even one that asks for every privilege', async () => {
    await use();
    await world.driver.check();
    const { output } = await world.probe(
      id,
      0,
      `exec 2>/dev/null; ${image}; cat >/tmp/try <<'TRY'
mount -t tmpfs none /mnt && echo tmpfs
mknod /tmp/disk b 8 0 && echo device
mount -t ext4 /dev/vda /mnt && echo disk
echo 1 >/proc/sys/kernel/panic && echo setting
echo b >/proc/sysrq-trigger && echo sysrq
ls -A /m/srv | grep . && echo files
ip link set eth0 down && echo network
touch /m/usr/bin/mine && echo own root
cat /m/etc/hostname
grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status
TRY
       docker run --rm --privileged busy true || echo no sysfs of its own
       docker run --rm --privileged --net host -v /:/m -v /tmp/try:/try busy sh /try; : done`,
    );
    // What is in its own namespaces and in the machine's throw-away root is its own.
    expect(output.split('\n')).toEqual(['no sysfs of its own', 'own root', id, 'NoNewPrivs:\t1', 'Seccomp:\t2']);
  });

  test('is, with all of them, nobody on the host, and nothing is left when it ends', async () => {
    await use();
    await world.driver.check();
    const before = await onHost('sh', '-c', 'cut -d" " -f5 /proc/self/mountinfo | sort; ip -o link | cut -d: -f2 | sort; ip netns');
    await writeFile(
      `${world.io}/script`,
      `${image}; docker network create n; docker run -d --network n busy sleep 4242; docker run -d busy sh -c 'trap : TERM; while :; do sleep 1; done'; touch /io/up; sleep 1000`,
    );
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await world.driver.assign(id, assignmentOf('probe'), AbortSignal.timeout(20_000));
    await vi.waitUntil(() => existsSync(`${world.io}/up`), { timeout: 40_000 });
    const inner = (await processesOf(0)).find(({ command }) => command === 'sleep 4242');
    const status = await readFile(`/proc/${inner?.pid ?? ''}/status`, 'utf8');
    expect(status).toMatch(new RegExp(`^Uid:(\t${uidBaseOf(pool, 0)}){4}$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(await onHost('readlink', `/proc/${inner?.pid ?? ''}/ns/user`)).not.toBe(await onHost('readlink', '/proc/1/ns/user'));
    expect(await readFile(`/proc/${inner?.pid ?? ''}/cgroup`, 'utf8')).toContain(`forgejo-runner-containers-${id}.service`);
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
    expect(await processesOf(0)).toEqual([]);
    const after = await onHost('sh', '-c', 'cut -d" " -f5 /proc/self/mountinfo | sort; ip -o link | cut -d: -f2 | sort; ip netns');
    expect(after).toBe(before);
  });

  test('is not had by a profile that does not ask, with the same template', async () => {
    await use({});
    const { output } = await world.probe(
      id,
      0,
      `ls /dev/net/tun /run/docker.sock /run/forgejo-runner-containers.sock 2>/dev/null; echo "host<$DOCKER_HOST$CONTAINER_HOST>"; docker ps 2>&1 | grep -o 'Cannot connect'; systemctl list-units --all 'forgejo-runner-containers*' --no-legend`,
    );
    expect(output).toBe('host<>\nCannot connect');
  });

  test('is refused while its template lacks the engine, with what is missing', async () => {
    world = await createNspawnWorld({
      controllerId: 'containers',
      template: { kind: 'system', path: '/var/lib/machines/debian' },
      profile: { containers: 'podman' },
    });
    await expect(world.driver.check()).rejects.toMatchObject({
      code: 'DRIVER_UNAVAILABLE',
      message: expect.stringMatching(/lacks podman, conmon, crun \(or runc\), netavark, slirp4netns \(or passt\)/),
    });
  });
});

describe.runIf(existsSync(root))('jobs through the service', () => {
  test('run containers that reach the forge and not the host, and a job of a fork is not taken', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ profiles: [{ name: 'containers', labels: ['debian'], template, containers: 'podman' }] });
    const forked = await scene.queue('echo never', { fork: true });
    const neighbour = createServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nreached'));
    await new Promise<void>((resolve) => neighbour.listen(0, '0.0.0.0', resolve));
    onTestFinished(() => void neighbour.close());
    const address = neighbour.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const own = await scene.queue(`${image}
      fetch() { docker run --rm busy sh -c 'timeout "$1" wget -q -O - "$0"; true' "$1" "$3" 2>/dev/null | grep -c "$2"; }
      gateway=$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'); server=\${GITHUB_SERVER_URL%:*}
      echo "@forge $(fetch "$GITHUB_SERVER_URL/api/v1/version" version 30)"
      echo "@host $(fetch "http://$gateway:${port}/" reached 4)"; echo "@other $(fetch "$server:${port}/" reached 4)"; echo "@gateway $gateway"`);
    const done = await scene.done(service, own, 60_000);
    expect(findingsOf(done)).toEqual({ forge: '1', host: '0', other: '0', gateway: expect.stringMatching(/^192\.168\.\d+\.10$/) });
    expect(done.status).toBe('success');
    const { waiting_jobs: waiting } = await service.status();
    expect(waiting).toMatchObject([{ job_id: forked.jobId, reason: 'fork' }]);
    await scene.control.cancel(forked.runId);
    await scene.clean(service);
  });
});
