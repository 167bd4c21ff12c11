// Promises every finding of the doctor: configuration, host, profiles, forges and the service itself are looked at side by side, in the words
// of the parts that would fail later; nothing is changed, no failure hides another, and no finding holds a secret.

import { stat } from 'node:fs/promises';
import { Resolver } from 'node:dns/promises';
import { createServer, isIP } from 'node:net';
import { systemClock } from './clock.ts';
import { loadConfig, type Config, type LoadOptions } from './config/config.ts';
import type { Profile } from './core/model.ts';
import { placeOf } from './core/token-rights.ts';
import { askService, isNobody } from './daemon-ask.ts';
import { looseEnds } from './daemon-ownership.ts';
import { examineWebhook } from './daemon-doctor-webhook.ts';
import { faultAt, findingsOf, skippedAt, wellAt, type Finding, type Place } from './doctor.ts';
import { examineHost, reachFromMachine, type Reached } from './driver/nspawn.ts';
import { ControllerError, isControllerError } from './errors.ts';
import { examineForgejo, type Examination } from './forge/forgejo.ts';
import { createLog, createRedactor, type Log } from './log.ts';

type Forge = Config['forges'][number];

const mostSkewMs = 30_000;

export async function examine(source: LoadOptions): Promise<readonly Finding[]> {
  const redactor = createRedactor();
  const log = createLog({ level: 'error', destination: process.stderr, redactor });
  const { config, findings } = await readConfig(source);
  const found = await Promise.all([
    examineHost(config),
    ...(config?.forges ?? []).map((forge) => examineForge(forge, log)),
    config === undefined
      ? ['forges', 'service'].map((area) => skippedAt({ area, name: 'all' }, 'The configuration cannot be read.'))
      : findingsOf({ area: 'service', name: 'health' }, () => examineService(config)),
    config === undefined ? [] : findingsOf({ area: 'profiles', name: 'nameservers' }, () => examineNames(config)),
  ]);
  const host = found[0] ?? [];
  if (config !== undefined)
    found.push(
      await examineReach(
        config,
        host.every(({ state }) => state !== 'failed'),
      ),
    );
  const masked = (text: string): string => redactor.text(text);
  const loose = config === undefined ? [] : ownershipFindings(config, source.file);
  return [...findings, ...loose, ...found.flat()].map((one) => ({
    ...one,
    sentence: masked(one.sentence),
    remedy: one.remedy === null ? null : masked(one.remedy),
  }));
}

/** Asked from here: each machine has its own way to them. */
async function examineNames({ forges, profiles }: Config): Promise<readonly Finding[]> {
  const names = [...new Set(forges.map(({ instanceUrl }) => new URL(instanceUrl).hostname))].filter((name) => isIP(name) === 0);
  const found = profiles.map((profile) => nameserversFinding(profile, names, lookUp));
  return (await Promise.all(found)).flat();
}

async function lookUp(name: string, nameservers: readonly string[]): Promise<void> {
  const resolver = new Resolver({ timeout: 2_500, tries: 2 });
  resolver.setServers(nameservers);
  await resolver.resolve4(name);
}

/** Whether resolvers of a profile's own know the forges' names; nothing for a profile without any. */
export async function nameserversFinding(
  { name, nameservers, extraHosts = [] }: Pick<Profile, 'name' | 'nameservers' | 'extraHosts'>,
  forges: readonly string[],
  look: typeof lookUp,
): Promise<readonly Finding[]> {
  if (nameservers === undefined) return [];
  const place = { area: `profile ${name}`, name: 'nameservers' };
  const unknown = forges.filter((forge) => !extraHosts.some((known) => known.name === forge));
  const asked = await Promise.allSettled(unknown.map((forge) => look(forge, nameservers)));
  const failed = asked.flatMap((one, index) => (one.status === 'fulfilled' ? [] : [`${unknown[index] ?? ''} (${codeOf(one.reason)})`]));
  const whom = nameservers.join(', ');
  if (failed.length === 0) return [wellAt(place, `Every forge has an address at ${whom}.`)];
  const remedy = "set the profile's nameservers to some that know it, or leave them out";
  return [faultAt(place, { what: `Asked from this host, ${whom} tell no address of ${failed.join(' and ')}`, remedy }, 'warning')];
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

const reachName = 'from a machine';

/** After all else: it needs a host that can run machines, and its answers mean little without those of the host itself. */
async function examineReach(config: Config, able: boolean): Promise<readonly Finding[]> {
  const places = config.forges.map(({ name, instanceUrl }) => ({ place: { area: `forge ${name}`, name: reachName }, url: instanceUrl }));
  if (!able) return places.map(({ place }) => skippedAt(place, 'This host cannot run machines: see the failures above.'));
  return findingsOf({ area: 'forges', name: reachName }, async () => {
    const reached = await reachFromMachine(config, [...new Set(places.map(({ url }) => url))]);
    return places.map(({ place, url }) => reachFinding(place, url, reached.get(url), config.network));
  });
}

/** What an answer, or none, means for jobs. Pure. */
export function reachFinding(place: Place, url: string, reached: Reached | undefined, network?: Config['network']): Finding {
  if (reached === undefined) return skippedAt(place, 'It was not asked.');
  if ('status' in reached) {
    if (reached.status < 500) return wellAt(place, `A machine reaches it at ${url}.`);
    return faultAt(place, {
      what: `A machine that asks ${url} is answered ${reached.status}`,
      remedy: 'look at Forgejo, or the proxy before it',
    });
  }
  const { code, resolvers } = reached;
  const what = `A machine does not reach ${url} (${code}), so no job can report to it`;
  if (/^E(?:NOTFOUND|SERVFAIL|NODATA|REFUSED|NORESOLVER|FORMERR|TIMEOUT)$/.test(code)) {
    const whom = resolvers.length === 0 ? 'there is no resolver that machines can use' : `machines ask ${resolvers.join(', ')}`;
    return faultAt(place, {
      what: `${what}: its name has no address there`,
      remedy: `${whom}; set network.nameservers to one that knows the name, or extraHosts of the profiles`,
    });
  }
  if (/CERT|SIGNATURE|SSL|TLS/.test(code)) {
    const remedy =
      'let machines trust the authority that signed its certificate (docs/OPERATIONS.md, *A forge with a certificate of your own*), or have it signed by a public one';
    return faultAt(place, { what: `${what}: its certificate is not trusted by what a machine has from Node`, remedy }, 'warning');
  }
  const remedy = 'machines have IPv4 only: give its server an IPv4 address, and write that or its name as url or instanceUrl';
  if (code === 'ENETUNREACH' || URL.parse(url)?.hostname.startsWith('[') === true) return faultAt(place, { what, remedy });
  const hints = [
    ...(code === 'ECONNREFUSED'
      ? ['nothing listens there: a Forgejo with HTTP_ADDR = 127.0.0.1 in its app.ini listens on loopback alone']
      : []),
    'let its server listen on an address that machines can reach, and let the firewalls of this host and between pass it; url and instanceUrl may differ',
    ...((network?.externalInterface.length ?? 0) === 0 ? [] : ['the interface that leads to it must be one of network.externalInterface']),
    ...(network?.masquerade === false ? ['without network.masquerade it must have a way back to network.pool'] : []),
  ];
  return faultAt(place, { what, remedy: hints.join('; ') });
}

function ownershipFindings(config: Config, file: string | undefined): readonly Finding[] {
  const place = at('ownership');
  const faults = looseEnds(config, file);
  if (faults.length > 0) return faults.map((fault) => faultAt(place, fault, 'warning'));
  return [wellAt(place, 'Only root can change the state directory, the configuration, and where tokens lie.')];
}

type Read = { readonly config: Config | undefined; readonly findings: readonly Finding[] };

const at = (name: string) => ({ area: 'configuration', name });

/** As the service reads it; when only tokens are missing, all the rest can be looked at all the same. */
async function readConfig(source: LoadOptions): Promise<Read> {
  try {
    const config = await loadConfig(source);
    const warnings = config.warnings.map((what) => faultAt(at('warning'), { what }, 'warning'));
    return { config, findings: [wellAt(at('all'), 'It can be read, and is whole.'), ...warnings] };
  } catch (error) {
    if (!isControllerError(error)) throw error;
    const findings = mistakesOf(error).map(({ path, message, remedy }) => faultAt(at(path), { what: `${path} ${message}`, remedy }));
    return { config: await loadConfig({ ...source, pending: true }).catch(noConfig), findings };
  }
}

type Mistake = { readonly path: string; readonly message: string; readonly remedy: string };

function mistakesOf({ details }: ControllerError): readonly Mistake[] {
  return details['mistakes'] as readonly Mistake[];
}

function noConfig(error: unknown): undefined {
  if (!isControllerError(error)) throw error;
}

async function examineForge(forge: Forge, log: Log): Promise<readonly Finding[]> {
  const area = `forge ${forge.name}`;
  const { webhook } = forge;
  const found = await Promise.all([
    findingsOf({ area, name: 'token file' }, () => examineSecret({ area, name: 'token file' }, forge.tokenFile, 'an access token')),
    findingsOf({ area, name: 'server' }, async () => forgeFindings(forge, await examineForgejo({ ...forge, clock: systemClock, log }))),
    ...(webhook === undefined
      ? []
      : [
          findingsOf({ area, name: 'webhook secret' }, () =>
            examineSecret({ area, name: 'webhook secret' }, webhook.secretFile, 'the secret of the webhook'),
          ),
          findingsOf({ area, name: 'webhook' }, async () => [await examineWebhook(forge.name, webhook)]),
        ]),
  ]);
  return found.flat();
}

async function examineSecret(place: Place, path: string, what: string): Promise<readonly Finding[]> {
  try {
    const { mode } = await stat(path);
    const bits = (mode & 0o777).toString(8).padStart(4, '0');
    if ((mode & 0o077) === 0) return [wellAt(place, `${path} has mode ${bits}.`)];
    return [faultAt(place, { what: `${path} has mode ${bits}: others may use it`, remedy: `chmod 0600 ${path}` }, 'warning')];
  } catch (error) {
    return [
      faultAt(place, { what: `${path} cannot be looked at (${codeOf(error)})`, remedy: `put ${what} into ${placeOf(path)}, mode 0600` }),
    ];
  }
}

/** What a forge's answers mean for an operator. Pure. */
export function forgeFindings({ name, url, tokenFile }: Pick<Forge, 'name' | 'url' | 'tokenFile'>, seen: Examination): readonly Finding[] {
  const of = (part: string) => ({ area: `forge ${name}`, name: part });
  const wrong = (part: string, error: ControllerError): Finding => {
    const asked = error.details['scope'];
    const scope = typeof asked === 'string' ? asked.replace(/^read:/, 'write:') : '';
    const remedy =
      error.code === 'FORGE_UNAUTHORIZED'
        ? `make a token${scope === '' ? '' : ` with the scope ${scope}`} at ${url}/user/settings/applications and put it into ${placeOf(tokenFile)}`
        : error.code === 'FORGE_UNREACHABLE'
          ? remedyOf(url, error.details['errno'])
          : undefined;
    return faultAt(of(part), { what: error.message, ...(remedy === undefined ? {} : { remedy }) });
  };
  const outcome = (part: string, came: Examination['reading'], well: string): Finding => {
    if (came === undefined) return skippedAt(of(part), 'It was not asked: see the failure above.');
    return came === 'ok' ? wellAt(of(part), well) : wrong(part, came);
  };
  return [
    typeof seen.version === 'string' ? wellAt(of('server'), `It answers, as version ${seen.version}.`) : wrong('server', seen.version),
    clockFinding(of('clock'), seen.aheadMs),
    outcome('right to read', seen.reading, 'The token may list jobs and runners.'),
    outcome('right to write', seen.writing, 'The token may register and delete runners.'),
  ];
}

/** What to do where no answer comes; the code is node's. */
function remedyOf(url: string, errno: unknown): string | undefined {
  if (errno === 'ERR_SSL_WRONG_VERSION_NUMBER') return `write ${url.replace(/^https:/, 'http:')}, or the port at which it speaks TLS`;
  // Of certificates the sentence itself says what to do.
  if (typeof errno === 'string' && /CERT|SIGNATURE/.test(errno)) return undefined;
  return `look at ${url} from this host: its name, its port, a firewall or proxy between, and whether Forgejo runs`;
}

function clockFinding(place: { readonly area: string; readonly name: string }, aheadMs: number | undefined): Finding {
  if (aheadMs === undefined) return skippedAt(place, 'The server did not say what time it is.');
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  if (Math.abs(aheadMs) <= mostSkewMs) return wellAt(place, `Its clock and this host's are at most ${seconds} s apart.`);
  const what = `Its clock is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} this host's`;
  return faultAt(place, { what, remedy: 'let both be set by NTP (timedatectl tells whether this one is)' }, 'warning');
}

/** A service that does not run is no failure: the doctor comes before it. */
async function examineService({ http, controllerId }: Config): Promise<readonly Finding[]> {
  const place = { area: 'service', name: 'health' };
  const where = http.socket ?? `${http.host}:${http.port}`;
  const answered = await askService(http, '/health', {});
  const status = 'status' in answered ? answered.status : answered.code;
  if (isNobody(answered)) {
    const idle = skippedAt(place, `Nothing answers at ${where}: the service of \`${controllerId}\` does not run.`);
    return [idle, ...(await examinePort(http))];
  }
  if (status === 200) return [wellAt(place, `It runs and is well (${where}).`)];
  if (status === 401 || status === 403) return [wellAt(place, `It runs (${where}), and tells how it is to who has its token.`)];
  const what =
    typeof status === 'number' ? `It runs and is not well (${where} answered ${status})` : `It cannot be asked at ${where} (${status})`;
  return [faultAt(place, { what, remedy: 'runner-status and the journal of the service say more' })];
}

/** Beside a service that does not run: whether it could have its port. */
async function examinePort({ host, port }: Config['http']): Promise<readonly Finding[]> {
  const place = { area: 'service', name: 'port' };
  if (port === 0) return [];
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
  if (code === undefined) return [wellAt(place, `Its port, ${host}:${port}, is free.`)];
  if (code === 'EACCES') return [skippedAt(place, `Only root may try ${host}:${port}.`)];
  const taken = code === 'EADDRINUSE';
  return [
    faultAt(place, {
      what: taken ? `Something else uses ${host}:${port}, where its API is to be` : `Its API cannot be at ${host}:${port} (${code})`,
      remedy: taken ? `stop that (ss -ltnp tells what it is), or set http.port to another` : 'set http.host to an address of this host',
    }),
  ];
}
