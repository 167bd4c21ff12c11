// Promises that a configuration of NixOS that cannot work is refused when it is evaluated, with a sentence that names the option and the remedy,
// and that a slip of the pen is no silence: wrong types and unknown names are errors.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evaluateAll, tryEvaluate, writeModules, type Evaluated } from '../support/nix-module.ts';
import { openNix } from '../support/nix.ts';

const whole = `enable = true; tokenFile = lib.mkDefault "/run/agenix/t"; forges.forge = { url = lib.mkDefault "https://forge.example.org"; scope.user = lib.mkDefault true; };`;
const service = (text: string) => `services.forgejo-runner-controller = { ${text} };`;
/** A configuration that works, with something more. */
const more = (text: string, beside = '') => `{ imports = [ { ${service(whole)} } ]; ${beside} ${service(text)} }`;
const long = `"${'0'.repeat(31)}"`;

// What is written, and what its one sentence must say after the name of the service.
const mistakes: readonly (readonly [module: string, sentence: string])[] = [
  [`{ ${service('enable = true;')} }`, 'forges is empty: there is nobody to ask for jobs.'],
  [
    `{ ${service('enable = true; tokenFile = "/run/t"; forges.a.scope.user = true;')} }`,
    'forges.a.url is not set, and services.forgejo is not enabled',
  ],
  [
    `{ ${service('enable = true; tokenFile = "/run/t"; forges.a.url = "https://x.org";')} }`,
    'forges.a.scope names nothing. Set exactly one of',
  ],
  [more('forges.forge.scope.organization = "b";'), 'forges.forge.scope names organization and user. Set exactly one of'],
  [
    `{ ${service('enable = true; forges.a = { url = "https://x.org"; scope.user = true; };')} }`,
    'forges.a.tokenFile is not set. Write the path',
  ],
  [more('forges.forge.url = "http://localhost:3000";'), 'forges.forge.instanceUrl is http://localhost:3000, and in a machine loopback is'],
  [
    `{ services.forgejo.enable = true; ${service('enable = true; tokenFile = "/run/t"; forges.a.scope.instance = true;')} }`,
    'forges.a.instanceUrl is http://localhost:3000/, and in a machine loopback is',
  ],
  [more('forges."Big Forge" = { url = "https://x.org"; scope.user = true; };'), 'forges."Big Forge": use a name of lower-case letters'],
  [more('tokenFile = ./token;'), 'is the path literal /'],
  [
    more('forges.forge.tokenFile = "/nix/store/aaaa-token";'),
    'forges.forge.tokenFile is /nix/store/aaaa-token, in the Nix store, where everybody',
  ],
  [more('apiTokenFile = ./api;'), 'apiTokenFile is the path literal /'],
  [more('credentials.extra = "secrets/extra";'), 'credentials.extra is "secrets/extra". Write the absolute path'],
  [more('forges.forge.webhook.secretFile = ./t;'), 'forges.forge.webhook.secretFile is the path literal /'],
  [more('forges.forge.webhook.pollInterval = "1m";'), 'forges.forge.webhook.pollInterval has no effect without webhook.secretFile.'],
  [
    more('forges.forge.webhook.ensure = "https://a/webhook/forge";'),
    'forges.forge.webhook.ensure has no effect without webhook.secretFile.',
  ],
  [more('forges.forge.webhook.active = false;'), 'forges.forge.webhook.events and active have no effect without webhook.ensure.'],
  [more('profiles.a.labels = [ ];'), 'profiles.a.labels is empty, so no job would ever be served.'],
  [more('profiles.a.labels = [ "nix,x64" ];'), 'profiles.a.labels has "nix,x64". Write names as they stand in runs-on'],
  [more('profiles.a.labels = [ "a" "a" ];'), 'profiles.a.labels has a label twice.'],
  [more('profiles = { a.labels = [ "x" "y" ]; b.labels = [ "y" "x" ]; };'), 'profiles.b.labels are those of profiles.a, so one of the two'],
  [more('profiles."A b".labels = [ "a" ];'), 'profiles."A b": use a name of lower-case letters'],
  [
    more('profiles.a.container = { directory = "/d"; config = { }; };'),
    'profiles.a.container has config and directory, and a machine is made of one',
  ],
  [
    more('profiles.a.container = { directory = "/d"; extraPackages = [ pkgs.coreutils ]; };'),
    'profiles.a.container.extraPackages has no effect beside',
  ],
  [more('profiles.a.container.boot = true;'), 'profiles.a.container.boot is for a directory.'],
  [more('profiles.a.container.bindMounts.cache = { };'), 'profiles.a.container.bindMounts."cache": write absolute paths'],
  [
    more('profiles.a.container.extraHosts."10.0.0.5" = "10.0.0.6";'),
    'profiles.a.container.extraHosts has "10.0.0.5". Write the name of a host',
  ],
  [more('profiles.a.container.extraHosts."git lan" = "10.0.0.6";'), 'profiles.a.container.extraHosts has "git lan". Write the name'],
  [
    more('profiles.a.container.podman.enable = true;'),
    'profiles.a.container.podman.enable needs a machine that boots. Set container.config',
  ],
  [
    more('profiles.a.container = { podman.enable = true; directory = "/d"; };'),
    'profiles.a.container.podman.enable needs a machine that boots.',
  ],
  [
    more('profiles.a.container.nix.access = "daemon";', 'nix.enable = false;'),
    'profiles.a.container.nix.access is daemon, but this host has no Nix daemon',
  ],
  [
    more('profiles.a.container.nix.access = "own";', 'nix.enable = false;'),
    'profiles.a.container.nix.access is own, but this host has no Nix to say',
  ],
  [
    more('driver = "nixos-container"; profiles.a.container = { config = { }; nix.access = "own"; };'),
    'profiles.a.container.nix.access is own, which containers of the driver nixos-container',
  ],
  [
    more('profiles.a.container.nix.access = "daemon";', 'nix.settings.trusted-users = [ "root" "*" ];'),
    'profiles.a.container.nix.access is daemon, but nix.settings.trusted-users has "*"',
  ],
  [
    more('profiles.a.container.nix.access = "daemon";', 'nix.settings.allowed-users = [ "@wheel" ];'),
    'profiles.a.container.nix.access is daemon, but nix.settings.allowed-users leaves jobs out',
  ],
  [
    more(
      'forges.b.scope.user = true;',
      'services.forgejo = { enable = true; package = pkgs.oldForgejo; settings.server.ROOT_URL = "https://x.org/"; };',
    ),
    'forges: services.forgejo.package is Forgejo 11.0.9, and 15 is the oldest that gives a job to one runner alone.',
  ],
  [more('network.pool = "192.168.1.1";'), 'network.pool is "192.168.1.1". Write FIRST-LAST or a CIDR'],
  [more('network.pool = "10.0.0.0/24"; network.prefix = 26;'), 'settings.maxConcurrent is 7, but network.pool has room for 4 machines.'],
  [more('network.externalInterface = "lo";'), 'network.externalInterface has "lo", by which nothing leaves this host. Name the interface'],
  [more('network.externalInterface = [ "eth0" "fr-j0000001abc" ];'), 'network.externalInterface has "fr-j0000001abc", by which nothing'],
  [more('openFirewall = true; apiTokenFile = "/run/a";'), 'openFirewall is set, but the API listens on 127.0.0.1 alone.'],
  [more('openFirewall = true; settings.http.host = "0.0.0.0";'), 'openFirewall is set without apiTokenFile, and then nobody is answered'],
  [more('configFile = "/run/agenix/c.yaml";'), 'configFile is set beside forges, which would have no effect.'],
  [
    `{ ${service('enable = true; configFile = "/run/c"; openFirewall = true;')} }`,
    'openFirewall needs to know settings.http, and with configFile',
  ],
  [
    `{ ${service('enable = true; configFile = "/run/c"; polling.enable = false;')} }`,
    'configFile is set beside polling.enable, which would have no effect.',
  ],
  [
    `{ boot.enableContainers = true; ${service('enable = true; configFile = "/run/c"; driver = "nixos-container";')} }`,
    'configFile is set beside driver, which would have no effect.',
  ],
  [more('runnerPackage = pkgs.oldRunner;'), 'runnerPackage is forgejo-runner 11.3.1, and 12.8.2 is the oldest'],
  [more('extraEnv.FORGEJO_TOKEN = "abc";'), 'extraEnv.FORGEJO_TOKEN looks like a secret, and the environment is in the Nix store.'],
  [more('serviceOverrides.DynamicUser = true;'), 'serviceOverrides.DynamicUser would keep the service from starting machines'],
  [more('driver = "nixos-container";'), 'profiles.default: the driver nixos-container boots NixOS systems.'],
  [
    more('driver = "nixos-container"; profiles.a.container.config = { };', 'boot.enableContainers = false;'),
    'driver is nixos-container, but boot.enableContainers is false.',
  ],
];

// What Nix itself refuses, and what of the option it must name.
const slips: readonly (readonly [module: string, words: RegExp])[] = [
  [more('pollInterval = "1s";'), /forgejo-runner-controller\.pollInterval' does not exist/],
  [more('profiles.a.container.docker.enable = true;'), /profiles\.a\.container\.docker' does not exist/],
  [more('profiles.a.memory = "lots";'), /profiles\.a\.memory' is not of type `null or size such as "4GiB"/],
  [more('profiles.a.timeouts.job = "tomorrow";'), /profiles\.a\.timeouts\.job' is not of type `null or duration such as/],
  [more('forges.forge.url = 3000;'), /forges\.forge\.url' is not of type/],
  [more('settings.maxConcurrent = -1;'), /settings\.maxConcurrent' is not of type/],
  [more(`settings.controllerId = ${long};`), /settings\.controllerId' is not of type/],
  [more('configFile = "config.yaml";'), /configFile' is not of type/],
  [more('driver = "docker";'), /driver' is not of type/],
  [more('network.externalInterface = "eth 0";'), /network\.externalInterface' is not of type `name of a network interface/],
  [more('network.nat.enable = "no";'), /network\.nat\.enable' is not of type/],
  [more('profiles.a.container.nameservers = "9.9.9.9";'), /profiles\.a\.container\.nameservers' is not of type/],
  [more('profiles.a.container.extraHosts."git.lan" = "codeberg.org";'), /profiles\.a\.container\.extraHosts.*' is not of type/],
  [more('network.mtu = 100;'), /network\.mtu' is not of type/],
  [more('network.openPorts = [ 70000 ];'), /network\.openPorts.*' is not of type/],
  [
    `{ imports = [ ${more('network.pool = "10.0.0.0/8";')} { ${service('network.pool = "10.1.0.0/16";')} } ]; }`,
    /network\.pool' has conflicting definition values/,
  ],
];

/** What of a sentence in the source is there whatever is filled in. */
const parts = (sentence: string) => sentence.split(/\$\{[^}]*\}?/).map((part) => part.replaceAll('\\"', '"').replace(/^\}/, ''));

let opened: Awaited<ReturnType<typeof openNix>>;
let all: ReadonlyMap<string, Evaluated>;
beforeAll(async () => {
  opened = await openNix();
  for (const name of ['token', 'api', 't']) await writeFile(join(opened.home, name), 'a secret');
  all = await evaluateAll(
    opened.nix,
    await writeModules(
      opened.home,
      'mistakes.nix',
      mistakes.map(([module]) => module),
    ),
  );
});
afterAll(() => opened.end());

test.each(mistakes.map(([, sentence], index) => [sentence, index] as const))('refused with one sentence: %s', (sentence, index) => {
  const { failed } = all.get(String(index)) ?? { failed: [] };
  expect(failed).toEqual([expect.stringContaining(sentence)]);
  for (const said of failed) {
    expect(said).toMatch(/^services\.forgejo-runner-controller\./);
    // What is wrong, and what to do.
    expect(said).toMatch(/[.:] [A-Z]?[a-z][^.]*.*\.$/);
  }
});

test('all that is wrong is told at once', async () => {
  const text = `{ ${service('enable = true; tokenFile = ./t; forges.a = { }; profiles.b.labels = [ ];')} }`;
  const found = await evaluateAll(opened.nix, await writeModules(opened.home, 'many.nix', [text]));
  expect(found.get('0')?.failed.length).toBe(4);
});

test('no secret gets into the store: a path literal that is refused is not turned into a path of the store either', () => {
  const named = [...all.values()].flatMap(({ credentials }) => credentials);
  expect(named.some((one) => one.endsWith('/token'))).toBe(true);
  // Written so, in one of the mistakes.
  expect(named.filter((one) => one.includes(':/nix/store/') && !one.endsWith(':/nix/store/aaaa-token'))).toEqual([]);
});

test.each(slips.map(([, words], index) => [words, index] as const))('a slip is an error of Nix: %s', async (words, index) => {
  const path = await writeModules(opened.home, `slip-${index}.nix`, [slips[index]?.[0] ?? '{ }']);
  const { code, stderr } = await tryEvaluate(opened.nix, path);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(words);
});

test('every assertion of the module has a test here that makes it fail', async () => {
  const source = await readFile(new URL('../../nix/module/assertions.nix', import.meta.url), 'utf8');
  const sentences = [...source.matchAll(/fault (?:\([^\n]*?\)|true|cfg\.openFirewall) "((?:[^"\\]|\\.)*)/g)].map((hit) => hit[1] ?? '');
  expect(sentences.length).toBeGreaterThan(30);
  const said = [...all.values()].flatMap(({ failed }) => failed).join('\n');
  const silent = sentences.filter((sentence) => !parts(sentence).every((part) => said.includes(part)));
  expect(silent).toEqual([]);
});
