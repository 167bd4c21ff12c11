// Promises a commented configuration for one forge and one profile from a few answers, and what to do next with it. Values are written by the
// YAML library, so none can become more than a value; lines without a blank behind their # are the defaults. Pure.

import { stringify } from 'yaml';
import { areaOf, holderOf } from '../core/token-rights.ts';
import type { Scope } from '../core/model.ts';

export type Answers = {
  readonly controllerId: string;
  readonly url: string;
  /** As the configuration has it. */
  readonly scope: Readonly<Record<string, unknown>>;
  readonly labels: readonly string[];
  readonly tokenFile: string;
  readonly runner?: string;
};

/** `repository:owner/name`, `organization:name`, `user`, `instance` as the configuration's map; undefined when it is none of them. */
export function scopeFrom(word: string): Answers['scope'] | undefined {
  const [, kind = '', name] = /^(repository|organization)(?::(.*))$|^(?:user|instance)$/s.exec(word) ?? [];
  if (word === 'user' || word === 'instance') return { [word]: true };
  return name === undefined ? undefined : { [kind]: name };
}

export function starterOf(answers: Answers): string {
  const url = valueOf(answers.url);
  return `# Configuration of forgejo-runner-controller, begun by its command init. config.example.yaml has every key.
# A line without a blank behind its # is a default: take the # away to change it. \`check-config --config FILE\` prints what it is taken for.

# Marks everything that this controller makes on the host and in the forge: never the same for two controllers, on whatever hosts.
controllerId: ${valueOf(answers.controllerId)}

# Records of what runs.
#stateDir: /var/lib/forgejo-runner-controller
# How many machines at once, at most.
#maxConcurrent: 7
# With less than this free on the file system of stateDir nothing is started; running jobs go on.
#minFreeDisk: 1GiB
# How often a quiet forge is asked for jobs.
#pollInterval: 1s
# A job that takes longer is stopped.
#jobTimeout: 2h
#logLevel: info
# Everybody who reaches it may read; leave it on loopback.
#http: { host: 127.0.0.1, port: 8080 }
# Private addresses that nothing else uses, cut into one subnet for each machine.
#network: { pool: 192.168.100.0-192.168.199.255, prefix: 24 }

forges:
  - name: forge
    # Where the controller asks for jobs.
    url: ${url}
    # Where machines reach the same forge; there, loopback is the machine itself.
    #instanceUrl: ${url}
    # Whose jobs.
    scope: ${valueOf(answers.scope)}
    # The token alone stands in it, of mode 0600.
    tokenFile: ${valueOf(answers.tokenFile)}

profiles:
  - name: default
    # A job runs if all labels of its runs-on are in this list.
    labels: ${valueOf(answers.labels)}
    # host: the host's own /usr, read-only. { kind: directory, path: ... }: the root directory of any distribution, as NixOS needs.
    #template: { kind: host }
    # For each machine.
    #limits: { cpus: none, memory: 4GiB, tasks: 4096, disk: none }
    #timeouts: { start: 60s, pick: 30s, job: 2h, stop: 10s }
    ${answers.runner === undefined ? `# Default: this if it is there, else the one on PATH.\n    #runner: ${usualRunner}` : `runner: ${valueOf(answers.runner)}`}
`;
}

const usualRunner = '/usr/local/bin/forgejo-runner';
const folder = '/etc/forgejo-runner-controller';
const program = '/opt/forgejo-runner-controller/forgejo-runner-controller.js';

/** On one line, whatever it holds: it may stand behind a # too. Quotes as JSON has them break no line. */
function valueOf(value: string | readonly string[] | Answers['scope']): string {
  const odd = (typeof value === 'string' ? [value] : Object.values(value)).some((text) => /\p{Cc}/u.test(String(text)));
  const strings = { defaultStringType: odd ? 'QUOTE_DOUBLE' : 'PLAIN', defaultKeyType: 'PLAIN', doubleQuotedAsJSON: true } as const;
  return stringify(value, { ...strings, singleQuote: false, blockQuote: false, lineWidth: 0, collectionStyle: 'flow' }).replace(/\n$/, '');
}

/** What the service must be told beside its configuration. */
export type Installed = {
  readonly url: string;
  readonly scope: Scope;
  readonly labels: readonly string[];
  readonly tokenFile: string;
  readonly file: string;
};

/** What is left to do: the token, a look, the lines for systemd and for NixOS. Paths are of plain characters only. */
export function nextStepsOf(installed: Installed): string {
  const { url, scope, tokenFile, file } = installed;
  const credential = credentialOf(tokenFile);
  const place = credential === undefined ? tokenFile : `${folder}/token`;
  const before = credential === undefined ? '' : `systemd-run --pipe -p LoadCredential=${credential}:${place} `;
  return `The token
  It needs the scope write:${areaOf(scope)} and nothing else (write: includes read:), and must belong to ${holderOf(scope)}.
  Make it at ${url}/user/settings/applications and put it, alone, into ${place}, of mode 0600:
    install -m 600 /dev/stdin ${place}
  Then see what the service makes of the file:
    ${before}node ${program} check-config --config ${file}

With systemd
  contrib/systemd/forgejo-runner-controller.service is the unit; README.md says how to install it. ${unitLinesOf(credential, file)}
On NixOS, where its module writes the file (docs/NIXOS.md)
${nixLinesOf(installed, credential === undefined ? tokenFile : '/var/lib/secrets/forge-token')}
`;
}

/** The name of systemd's credential, when the path is one. */
function credentialOf(tokenFile: string): string | undefined {
  return /^\$(?:CREDENTIALS_DIRECTORY|\{CREDENTIALS_DIRECTORY\})\/([^/]+)$/.exec(tokenFile)?.[1];
}

const nodeFlags = '--optimize-for-size --max-semi-space-size=1 --liftoff --no-wasm-tier-up --no-wasm-dynamic-tiering --no-memory-reducer';

function unitLinesOf(credential: string | undefined, file: string): string {
  if (credential === 'forge-token' && file === `${folder}/config.yaml`) return 'It goes with this file as it is.\n';
  const lines = [
    '[Service]',
    // The unit's own credential must not be asked for where there is none.
    'LoadCredential=',
    ...(credential === undefined ? [] : [`LoadCredential=${credential}:${folder}/token`]),
    ...(file === `${folder}/config.yaml` ? [] : ['ExecStart=', `ExecStart=/usr/bin/node ${nodeFlags} ${program} --config ${file}`]),
    '',
  ];
  const told = lines.map((line) => (line === '' ? '' : `    ${line}`)).join('\n');
  return `To go with this file it needs, by\n  systemctl edit forgejo-runner-controller:\n${told}`;
}

function nixLinesOf({ url, scope, labels }: Installed, tokenFile: string): string {
  return `{
  services.forgejo-runner-controller = {
    enable = true;
    tokenFile = ${nixString(tokenFile)};
    forges.forge.url = ${nixString(url)};
    forges.forge.scope.${scope.kind} = ${nixScopeOf(scope)};
    profiles.default.labels = [ ${labels.map(nixString).join(' ')} ];
  };
}`;
}

function nixScopeOf(scope: Scope): string {
  if (scope.kind === 'repository') return nixString(`${scope.owner}/${scope.name}`);
  return scope.kind === 'organization' ? nixString(scope.name) : 'true';
}

function nixString(text: string): string {
  return `"${text.replaceAll(/["\\]|\$(?=\{)/g, String.raw`\$&`)}"`;
}
