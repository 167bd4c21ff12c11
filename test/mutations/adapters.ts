// Promises mutations at the borders: records on disk, names and command lines of machines, what a forge says.

import type { Target } from './mutation.ts';

const storeTests = ['test/integration/file-store.test.ts', 'test/unit/record-wire.test.ts'];
const lineTests = ['test/unit/clock.test.ts', 'test/unit/time-line.test.ts'];
const listingTests = ['test/integration/driver-listing.test.ts'];
const forgeTests = [
  'test/integration/forgejo-adapter.test.ts',
  'test/integration/forgejo-adapter-register.test.ts',
  'test/integration/forgejo-adapter-check.test.ts',
];

export const adapterTargets: readonly Target[] = [
  {
    file: 'src/claim.ts',
    tests: ['test/integration/claim.test.ts', 'test/integration/file-store.test.ts', 'test/integration/pool-claim.test.ts'],
    mutations: [
      ['a name that somebody has is had twice', "(error.code === 'EADDRINUSE' ? resolve(false) : reject(error))", 'resolve(true)'],
      ['a name is never given back', '() => void server.close()', '() => undefined'],
      ['all long names are one', ".update(name).digest('hex')", ".digest('hex')"],
      ['a name that ends another one is taken for it', '/^(?:\\S+ +){7}@', '/ @'],
    ],
  },
  {
    file: 'src/store/file-store.ts',
    tests: storeTests,
    mutations: [
      ['a record is overwritten in place', 'const temporary = `${path}.new`;', 'const temporary = path;'],
      ['a record that is gone cannot be deleted again', 'rm(pathOf(id), { force: true })', 'rm(pathOf(id))'],
      ['anybody may read a record', "open(temporary, 'w', 0o600)", "open(temporary, 'w')"],
      ['a state directory by another path is another one', 'realpathSync(stateDir)', 'stateDir'],
      ['a refused state directory stays locked', '    unlock();\n    throw error;', '    throw error;'],
      ['a directory of another controller is taken over', 'if (owner === controllerId) return;', 'if (owner !== undefined) return;'],
      [
        'a directory whose owner cannot be read is taken over',
        'if (owner === controllerId) return;',
        'if (owner === undefined || owner === controllerId) return;',
      ],
      ['the anchor of the time line is not read again', 'return decodeAnchor(', 'return void ('],
    ],
  },
  {
    file: 'src/store/record-folder.ts',
    tests: storeTests,
    mutations: [
      ['an unreadable record is deleted', 'await rename(path, placeOf(quarantine, free));', 'await rm(path, { force: true });'],
      [
        'what is put aside replaces what lies there',
        'for (let count = 1; taken.has(free); count += 1)',
        'for (let count = 1; count < 1; count += 1)',
      ],
      ['a record under the name of another is believed', 'return name === `${runner.id}.json` ?', 'return name !== "" ?'],
      ['what was half written lies there for ever', 'await rm(path, { recursive: true, force: true });', 'await lstat(path);'],
      ['what was half written is taken for a record', "return name.endsWith('.new');", "return name === '.new';"],
      [
        'a link is followed',
        'const stats = await lstat(path);\n  if (!stats.isFile())',
        'const stats = await lstat(path);\n  if (stats.isDirectory())',
      ],
      ['two records hold one slot', ' || slot === runner?.slot);', ');'],
      ['two records hold one machine', ' || machine === runner?.machine ||', ' ||'],
      [
        'a record that comes back takes the place of another',
        'living.find(({ id, machine, slot }) => id === runner?.id ||',
        'living.find(({ machine, slot }) =>',
      ],
      ['of two for one slot the younger stays', 'rankOf(a) - rankOf(b) ||', 'rankOf(b) - rankOf(a) ||'],
      [
        'what has become readable stays aside',
        'if (entry.runner === undefined || reason !== undefined) aside',
        'if (entry.name.length > 0) aside',
      ],
      ['a record stays readable by all', 'if ((stats.mode & 0o777) !== 0o600) await', 'if (stats.mode === 0) await'],
    ],
  },
  {
    file: 'src/store/record-wire.ts',
    tests: storeTests,
    mutations: [
      ['a record of a later version is read as if it were ours', 'if (version > to) return', 'if (version > to + 1) return'],
      ['a time that cannot be is believed', 'timesOf(runner).every(isPlausible)', 'timesOf(runner).some(isPlausible)'],
      ['who was missed is forgotten over a restart', 'missedAt: z.number().exactOptional(),', ''],
      ['the clocks of a runner are forgotten over a restart', 'timeouts: z.object({', 'clocks: z.object({'],
      ['the task of a runner is forgotten over a restart', 'taskId: z.int().exactOptional(),', ''],
      ['that a start failed is forgotten over a restart', "  'start-failed',\n", ''],
      ['that a machine was lost is forgotten over a restart', "'machine-failed', 'machine-lost']", "'machine-failed']"],
      ['how a machine ended is forgotten over a restart', 'ending: z.object({', 'ended: z.object({'],
    ],
  },
  {
    file: 'src/clock.ts',
    tests: lineTests,
    mutations: [
      [
        'deadlines are on the wall clock',
        'const lineAt = (monotonic: number): number => Math.round(monotonic + offsetMs);',
        'const lineAt = (_: number): number => Math.round(source.wall() + 0 * offsetMs);',
      ],
      ['times are shown as the wall is now', 'settings.findLast(({ from }) => from <= at)', 'settings.at(-1)'],
      ['a pause of the process is taken for a clock that was set', ' && lineAt(source.monotonic()) - now < pausedMs)', ')'],
    ],
  },
  {
    file: 'src/core/time-line.ts',
    tests: lineTests,
    mutations: [
      ['a line of another boot goes on', 'last.bootId === bootId && ', ''],
      ['the line moves while records stand on it', '(bound || Math.abs', '(Math.abs'],
      ['the line never goes back to the wall', '(bound || Math.abs(wall - monotonic - last.offsetMs) < worthMovingMs)', 'true'],
      ['a stop is left on the old line', '{ stop: { ...stop, at: stop.at + byMs } }', '{ stop }'],
      ['a record is moved by its oldest fact', 'now - Math.max(...timesOf(runner))', 'now - Math.min(...timesOf(runner))'],
    ],
  },
  {
    file: 'src/daemon-clock.ts',
    tests: lineTests,
    mutations: [
      [
        'records of another line are taken as they are',
        'fresh || Math.max(...timesOf(runner)) > now ?',
        'Math.max(...timesOf(runner)) > now ?',
      ],
      ['records of the future live as long as it takes', 'fresh || Math.max(...timesOf(runner)) > now ?', 'fresh ?'],
      [
        'records that were moved are forgotten',
        'if (runner !== loaded.runners[index]) await store.put(runner);',
        'void [index, runner, store];',
      ],
      [
        'a full disk keeps the service from starting',
        "if (!isControllerError(error, 'STORE_FAILED')) throw error;",
        'if (isControllerError(error)) throw error;',
      ],
      ['a new line is not kept', 'if (fresh) await anchors.write(anchor);', ''],
    ],
  },
  {
    file: 'src/driver/nspawn-unit.ts',
    tests: ['test/unit/driver-nspawn-unit.test.ts', 'test/unit/driver-network.test.ts'],
    mutations: [
      [
        'units of a controller whose id begins like ours are ours',
        'const prefix = `forgejo-runner-${controllerId}-`;',
        'const prefix = `forgejo-runner-${controllerId}`;',
      ],
      ["the host's store can be written to", '`--bind-ro=${escapedPath(plan.layered)}:', '`--bind=${escapedPath(plan.layered)}:'],
      ['a unit of any kind is a machine', ' || !name.endsWith(suffix)) return undefined;', ') return undefined;'],
      [
        'an interface is ours by its first letters',
        'return isMachineId(id) ? id : undefined;\n}\n\n/** Where things',
        "return id === '' ? undefined : id;\n}\n\n/** Where things",
      ],
      ['half an exit record is a whole one', "if (!text.endsWith('\\n')) return undefined;", ''],
      ['the unit runs on when every clock is over', '`${spec.runtimeMaxMs}ms`', "'infinity'"],
      ['a stop has no end', "['TimeoutStopSec', `${spec.profile.timeouts.stopMs}ms`]", "['TimeoutStopSec', 'infinity']"],
      ['only the first process of a machine is killed', "['KillMode', 'mixed']", "['KillMode', 'process']"],
      ['one step that takes too much memory takes the runner with it', "['OOMPolicy', 'continue']", "['OOMPolicy', 'stop']"],
      ['all machines share one uid range', '--private-users=${uidBase}:65536', '--private-users=1879048192:65536'],
      ['every bind is writable', "`--bind${bind.writable ? '' : '-ro'}=", '`--bind='],
      ['a colon in a path is split at', ".replaceAll('\\\\', '\\\\\\\\').replaceAll(':', '\\\\:')", ".replaceAll('\\\\', '\\\\\\\\')"],
      ['a dollar in the environment is expanded by PID 1', '.map((argument) => dollarsDoubled(argument))', ''],
      ['a step may gain privileges', "'--no-new-privileges=yes'", "'--no-new-privileges=no'"],
      ['settings lying on the host change a machine', "    '--settings=no',\n", ''],
      ['a stop is a signal that the runner ignores', "'--kill-signal=SIGTERM'", "'--kill-signal=SIGRTMIN+3'"],
      ['an unknown peak is a peak of nothing', '...(/^\\d{1,15}$/.test(peak) ?', '...(/^\\d{0,15}$/.test(peak) ?'],
    ],
  },
  {
    file: 'src/driver/unit-call.ts',
    tests: ['test/unit/driver-unit-call.test.ts'],
    mutations: [
      ['a deadline of seconds is one of milliseconds', "(unit === 's' ? 1_000_000n : 1_000n)", '1_000n'],
      ['the list of calls that are denied allows them', "flag(!value.startsWith('~'))", 'flag(true)'],
      ['the exit is recorded under the filter of the job', "texts(['privileged'])", 'texts([])'],
      ['a unit that ended by a failure stays', "text('inactive-or-failed')", "text('inactive')"],
    ],
  },
  {
    file: 'src/driver/bus.ts',
    tests: ['test/integration/driver-bus.test.ts'],
    mutations: [
      ['a unit of which systemd says nothing has ended', 'if (unsaid !== undefined) throw', 'if (unsaid === undefined) throw'],
      ['the line to systemd is kept', 'if (waiting.size === 0) hangUp(socket);', ''],
      ['a call goes with the greeting', 'if (unsent === undefined) socket.write(bytes);', 'if (unsent !== undefined) socket.write(bytes);'],
    ],
  },
  {
    file: 'src/driver/gathering.ts',
    tests: ['test/unit/driver-gathering.test.ts'],
    mutations: [
      [
        'all fail with the one that cannot be removed',
        'if (result?.code === 0 && result.trouble === undefined) {',
        'if (result !== undefined) {',
      ],
      ['all wait for the one that takes minutes', 'await Promise.race([before, over]);', 'await before;'],
    ],
  },
  {
    file: 'src/driver/hands.ts',
    tests: ['test/unit/driver-hands.test.ts'],
    mutations: [
      [
        'the shell outside of the sandbox is in one of its own',
        "    'NoNewPrivileges=yes',",
        "    'NoNewPrivileges=yes',\n    'PrivateTmp=yes',",
      ],
      ['what was begun for a service that ended is killed', "'KillSignal=SIGCONT'", "'KillSignal=SIGTERM'"],
      ['a host that goes down takes the shell before the service', '[`Before=${ours}`]', '[]'],
      ['a shell that has ended keeps its name', "    '--collect',\n", ''],
      ['the shell has no pipes of ours', "    '--pipe',\n", ''],
      ['programs are looked for where systemd looks, not where our unit says', "    '--setenv=PATH',\n", ''],
      ['a group below a service is that service', '\\.service)$/m', '\\.service)/m'],
    ],
  },
  {
    file: 'src/driver/traces.ts',
    tests: ['test/unit/driver-hands.test.ts'],
    mutations: [
      ['a mount that follows nobody follows the host', "word.startsWith('master:')", "word.startsWith('shared:')"],
      [
        'a folder is on the first mount above it',
        'a.path.length - b.path.length)\n    .slice(-1)',
        'a.path.length - b.path.length)\n    .slice(0, 1)',
      ],
      [
        'a folder is on a mount whose name it begins with',
        "folder.startsWith(path === '/' ? path : `${path}/`)",
        'folder.startsWith(path)',
      ],
    ],
  },
  {
    file: 'src/driver/listing.ts',
    tests: listingTests,
    mutations: [
      [
        'a machine that is being made is lost',
        'if (early || input.beingStarted(id)) return',
        'if (input.beingStarted(id) && unit !== undefined) return',
      ],
      [
        'a machine whose making ended while we looked is lost',
        'if (early || input.beingStarted(id)) return',
        'if (input.beingStarted(id)) return',
      ],
      ['a machine that has ended is still starting', "if (exit !== undefined) return { ...base, state: 'exited', exit };", ''],
      [
        'a machine with nothing but its folder is not lost',
        "exit: { result: 'lost', code: '', status: '' }",
        "exit: { result: 'success', code: 'exited', status: '0' }",
      ],
      ['the slot that a machine was given is not believed', 'slot: marker?.slot ?? slotOf', 'slot: slotOf'],
    ],
  },
  {
    file: 'src/driver/traces.ts',
    tests: listingTests,
    mutations: [
      [
        'every folder is a machine',
        'folders: idsOf(namesIn(`${stateDir}/machines`).map((name) => (isMachineId(name) ? name : undefined)))',
        'folders: idsOf(namesIn(`${stateDir}/machines`))',
      ],
      [
        'every exit record is of a machine of ours',
        'exits: idsOf(namesIn(`${stateDir}/exits`).map((name) => (isMachineId(name) ? name : undefined)))',
        'exits: idsOf(namesIn(`${stateDir}/exits`))',
      ],
      ['an exit record that was left behind is not seen', 'namesIn(`${stateDir}/exits`)', 'namesIn(`${stateDir}/exit`)'],
    ],
  },
  {
    file: 'src/driver/presence.ts',
    tests: ['test/integration/driver-presence.test.ts'],
    mutations: [
      ['a folder that cannot be read has nothing in it', "if (errnoOf(error) === 'ENOENT') return [];\n    throw error;", 'return [];'],
      ['a text that cannot be read is none', "if (errnoOf(error) === 'ENOENT') return undefined;\n    throw error;", 'return undefined;'],
      ['what cannot be looked at is not there', "if (errnoOf(error) === 'ENOTDIR') return false;\n    throw error;", 'return false;'],
      ['a link that leads nowhere is not there', 'lstatSync(path, {', 'statSync(path, {'],
    ],
  },
  {
    file: 'src/forge/forgejo-wire.ts',
    tests: forgeTests,
    mutations: [
      ['null, which means that nothing waits, is refused', 'if (json === null) return undefined;', ''],
      [
        'anything that is no list is an empty one',
        "if (!Array.isArray(json)) return 'the answer: is no list';",
        'if (!Array.isArray(json)) return undefined;',
      ],
      [
        'a row that cannot be read is left out',
        'if (!parsed.ok) return `${index}.${parsed.problem}`;',
        'if (!parsed.ok && index < 0) return parsed.problem;',
      ],
      [
        'a registration may run a second job',
        'JSON.stringify({ name, description, ephemeral: true })',
        'JSON.stringify({ name, description })',
      ],
      [
        'a status that nobody has heard of is idle',
        "registrationStates.get(row.status) ?? 'active'",
        "registrationStates.get(row.status) ?? 'idle'",
      ],
      ['a queued job does not wait', "  ['queued', 'waiting'],\n", ''],
      ['jobs come newest first', 'jobs.toSorted((a, b) => a.id - b.id)', 'jobs'],
      ['an id that has lost digits is used', 'Number.isSafeInteger(value)', 'Number.isInteger(value)'],
    ],
  },
  {
    file: 'src/forge/forgejo.ts',
    tests: forgeTests,
    mutations: [
      ['a registration is believed without looking at what was read back', 'if (wrong !== undefined) throw', 'if (wrong === name) throw'],
      ['a registration that cannot be trusted is left behind', 'throw await withdrawn(error, credentials.id, unregister);', 'throw error;'],
      [
        'somebody else under our name is believed',
        'if (seen.id !== made.id || seen.uuid !== made.uuid) return',
        'if (seen.id !== made.id && seen.uuid !== made.uuid) return',
      ],
      [
        'a registration without our mark is believed',
        'if (seen.description !== description) return',
        'if (seen.description !== description && seen.name !== name) return',
      ],
      ['a registration is gone when its repository cannot be seen', 'await probe(signal);\n    return undefined;', 'return undefined;'],
      ['a list that is short of rows is whole', 'if (found.size >= total) return', 'if (found.size > 0) return'],
      [
        'a registration that is gone cannot be deleted again',
        'if (reply.status !== 204 && !isAbsent(reply)) throw',
        'if (reply.status !== 204) throw',
      ],
    ],
  },
  {
    file: 'src/forge/origins.ts',
    tests: ['test/integration/forgejo-origins.test.ts'],
    mutations: [
      ['who may not be asked is asked at each poll', 'clock.now() >= (failedAt', 'clock.now() >= 0 * (failedAt'],
      ['a run is asked for at each poll', '!origins.has(key) && due', 'due'],
      ['a long list asks as many questions', '&& open.size < most', ''],
      ['a repository that was renamed is asked by its old name for ever', 'names.delete(repositoryId);\n      const', 'const'],
      ['jobs that no profile refuses are asked about', 'job.runId !== undefined && wanted(job)', 'job.runId !== undefined'],
      ['the right that is missing is said at each poll', 'if (said === code ||', 'if ('],
    ],
  },
  {
    file: 'src/forge/http-client.ts',
    tests: ['test/integration/forgejo-tls.test.ts'],
    mutations: [
      ['whom Node trusts may sign for a forge whose authorities are named', 'ca: options.ca, rejectUnauthorized', 'rejectUnauthorized'],
      ['the environment switches off what caFile wants', 'rejectUnauthorized: true', ''],
    ],
  },
  {
    file: 'src/forge/run-wire.ts',
    tests: ['test/integration/forgejo-origins.test.ts'],
    mutations: [['a fork is taken for the repository', '({ fork, ...(event', '({ fork: !fork, ...(event']],
  },
  {
    file: 'src/forge/exchange.ts',
    tests: forgeTests,
    mutations: [
      [
        'any 404 says that a registration is gone',
        'return reply.status === 404 && refusalMessageOf(reply.text) !== undefined;',
        'return reply.status === 404;',
      ],
    ],
  },
  {
    file: 'src/forge/token-file.ts',
    tests: forgeTests,
    mutations: [
      [
        'a token that was changed is not noticed',
        'if (known?.mark === markOf(status)) return known.token;',
        'if (known !== undefined) return known.token;',
      ],
      ['a new token is not concealed', 'if (known?.token !== token) log.conceal(token);', 'if (known === undefined) log.conceal(token);'],
      ['a token file that keeps size and date is never read again', ':${status.mtimeNs}:${status.ctimeNs}`', ':${status.mtimeNs}`'],
    ],
  },
];
