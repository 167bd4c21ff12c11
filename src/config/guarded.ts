// Promises that no profile shows a job what opens the host or another service: this service's state and tokens, the usual places of secrets, the
// sockets that give power over the host, the kernel's file systems; and that nothing which the host follows or runs lies where jobs write.
// There is no way to hand a job a secret of the host, on purpose. Pure.

import type { Profile } from '../core/model.ts';
import type { Findings } from './reader.ts';
import type { Config } from './settings.ts';

type Place = { readonly path: string; readonly what: string };

const secrets = 'holds secrets of the host';
const control = 'gives power over the host';
const kernel = "is the kernel's own; machines have one of theirs";
const places: readonly Place[] = [
  ...[
    '/run/secrets',
    '/run/secrets.d',
    '/run/agenix',
    '/run/agenix.d',
    '/run/keys',
    '/run/credentials',
    '/run/credstore',
    '/etc/credstore',
    '/etc/credstore.encrypted',
    '/etc/shadow',
    '/etc/gshadow',
    '/etc/sudoers',
    '/etc/sudoers.d',
    '/etc/ssh',
    '/etc/ssl/private',
    '/etc/pki/tls/private',
    '/etc/letsencrypt',
    '/etc/wireguard',
    '/etc/NetworkManager/system-connections',
    '/etc/krb5.keytab',
    '/var/lib/acme',
    '/var/lib/private',
    '/var/lib/systemd',
    '/root',
  ].map((path) => ({ path, what: secrets })),
  ...[
    '/run/docker.sock',
    '/run/docker',
    '/run/containerd',
    '/run/podman',
    '/run/crio',
    '/run/libvirt',
    '/run/dbus',
    '/run/systemd',
    '/run/user',
    '/var/lib/docker',
    '/var/lib/containers',
    '/nix/var/nix',
  ].map((path) => ({ path, what: control })),
  ...['/proc', '/sys', '/dev'].map((path) => ({ path, what: kernel })),
];
/** Somebody's whole home, or what people keep their keys in. */
const privateNames = /^\/home(?:\/[^/]+)?$|\/\.(?:ssh|gnupg|aws|kube|docker|netrc|git-credentials|password-store|vault-token)(?:\/|$)/;

function within(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`);
}

/** The old name of /run is a link to it wherever systemd runs. */
function plain(path: string): string {
  return path.replace(/^\/var\/run(?=\/|$)/, '/run');
}

/** Why jobs may not see the path, or undefined. Showing a place shows what is in it, so whatever holds a guarded place is refused with it. */
function objectionTo(path: string, own: readonly string[]): string | undefined {
  const shown = plain(path);
  const touches = (guarded: string): boolean => within(plain(guarded), shown) || within(shown, plain(guarded));
  if (own.some(touches)) return 'which holds secrets of this service';
  const place = places.find((each) => touches(each.path));
  if (place !== undefined) return place.path === shown ? `which ${place.what}` : `and with it ${place.path}, which ${place.what}`;
  return privateNames.test(shown) ? "which holds people's own keys" : undefined;
}

/** What of this service no job may see: its state, its tokens, the socket by which it is told what to do, and what others' jobs keep. */
export function guardedPathsOf({
  stateDir,
  cacheDir,
  profiles,
  forges,
  http,
  telemetry,
}: Pick<Config, 'stateDir' | 'cacheDir' | 'profiles' | 'forges' | 'http' | 'telemetry'>): readonly string[] {
  const single = [http.tokenFile, http.socket, telemetry?.headersFile].filter((path) => path !== undefined);
  const ofForges = forges.flatMap(({ tokenFile, webhook }) => [tokenFile, ...(webhook === undefined ? [] : [webhook.secretFile])]);
  // Nobody's where no profile has one: then it may be shown as it always could.
  const ofCaches = profiles.some(({ cache }) => cache !== undefined) ? [cacheDir] : [];
  return [stateDir, ...ofCaches, ...ofForges, ...single];
}

/**
 * Refuses what lies within a writable bind of any profile: a job could put a link in its place, which the next machine would be given as if the
 * operator had meant it, or a program that the host runs as root (a runner is asked for its version).
 */
export function checkWritten(
  profiles: readonly Profile[],
  { driver, nixosContainer }: Pick<Config, 'driver' | 'nixosContainer'>,
  findings: Findings,
): void {
  const writable = profiles.flatMap(({ binds }) => binds.filter((bind) => bind.writable).map(({ source }) => plain(source)));
  const refuse = (path: string, at: string, holder: (root: string) => boolean): void => {
    const root = writable.find(holder);
    if (root !== undefined)
      findings.add(
        at,
        `is ${path}, which jobs could replace: ${root} is a writable bind`,
        'move it out of there, or make that bind read-only',
      );
  };
  for (const [index, { binds, template, runnerPath }] of profiles.entries()) {
    const at = `profiles[${index}]`;
    // What is bound itself stays what it is; only what lies below can be replaced.
    for (const { source } of binds) refuse(source, `${at}.binds`, (root) => plain(source) !== root && within(plain(source), root));
    if (template.kind !== 'host') refuse(template.path, `${at}.template.path`, (root) => within(plain(template.path), root));
    refuse(runnerPath, `${at}.runner`, (root) => within(plain(runnerPath), root));
  }
  const { program } = nixosContainer;
  if (driver === 'nixos-container') refuse(program, 'nixosContainer.program', (root) => within(plain(program), root));
}

/** Refuses binds and template directories that would show a job what is guarded; `own` are this service's own secrets (I7). */
export function checkShown(profiles: readonly Profile[], own: readonly string[], findings: Findings): void {
  for (const [index, { binds, template }] of profiles.entries()) {
    for (const { source } of binds) {
      const objection = objectionTo(source, own);
      const remedy = 'bind a directory made for jobs; there is no way to give a job a secret of the host';
      if (objection !== undefined) findings.add(`profiles[${index}].binds`, `would show ${source} to jobs, ${objection}`, remedy);
    }
    // Of a Nix template the store is shown, which everybody of the host can read, and of the path only where in it it ends.
    if (template.kind !== 'directory' && template.kind !== 'system') continue;
    const objection = objectionTo(template.path, own);
    if (objection !== undefined)
      findings.add(
        `profiles[${index}].template.path`,
        `would show ${template.path} to jobs, ${objection}`,
        'name a root directory made for jobs',
      );
  }
}
