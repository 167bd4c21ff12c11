// Promises which profiles take a job by where it comes from: of a fork or not, of which repository, started by which event; and for a job that
// none takes, the sentence that names the list. What is not known is taken by no profile that asks for it. Pure.

/** `event` as a workflow writes it below `on`. */
export type Origin = { readonly fork: boolean; readonly repository: string; readonly event?: string };

/** Taken is what `deny` does not have and, where there is an `allow`, that has. A repository may be written with `*` for part of a name. */
export type Choice = { readonly allow?: readonly string[]; readonly deny?: readonly string[] };

/** What a profile asks of a job beside its labels. */
export type Gate = {
  readonly name: string;
  readonly refusesForks?: true;
  readonly repositories?: Choice;
  readonly events?: Choice;
};

/** `runId`: a server that tells no run tells nothing of where a job comes from. */
export type Comer = { readonly origin?: Origin; readonly runId?: number };

type Bar = { readonly reason: 'fork' | 'repository' | 'event'; readonly list: string; readonly what: string };

export function asksOrigin({ refusesForks, repositories, events }: Gate): boolean {
  return refusesForks === true || repositories !== undefined || events !== undefined;
}

/**
 * True for a job of which is known that it runs what the repository's own people wrote. `pull_request_target` is the repository's own workflow, made
 * to look at what strangers bring.
 */
export function isOwnCode(origin: Origin | undefined): boolean {
  return origin?.fork === false && origin.event !== undefined && origin.event !== 'pull_request_target';
}

/** Those of the profiles that take it; if none does, why. */
export function gatesOpenTo<G extends Gate>(
  comer: Comer,
  gates: readonly G[],
): { readonly open: readonly G[]; readonly refusal?: { readonly reason: Bar['reason']; readonly sentence: string } } {
  const bars = gates.map((gate) => barOf(comer, gate));
  const open = gates.filter((_, index) => bars[index] === undefined);
  const [first] = bars;
  if (open.length > 0 || first === undefined) return { open };
  // One sentence for each list that refuses it, with all profiles that have such a one.
  const byList = new Map<string, { readonly what: string; readonly names: string[] }>();
  for (const [index, bar] of bars.entries()) {
    if (bar === undefined) continue;
    const known = byList.get(bar.list) ?? { what: bar.what, names: [] };
    known.names.push(`\`${gates[index]?.name ?? ''}\``);
    byList.set(bar.list, known);
  }
  const sentence = [...byList].map(([list, { what, names }]) => `${what}: ${names.join(', ')} (${list})`).join('; ');
  return { open, refusal: { reason: first.reason, sentence } };
}

function barOf({ origin, runId }: Comer, { refusesForks, repositories, events }: Gate): Bar | undefined {
  const why = `is not known, because its Forgejo ${runId === undefined ? 'does not tell which run it belongs to (16 and newer do)' : 'has not said'}`;
  if (refusesForks === true && origin?.fork !== false) {
    const fork = origin === undefined ? `whether it is of a fork ${why}` : 'it is of a pull request of a fork';
    return { reason: 'fork', list: 'forks: refuse', what: `${fork}, and the profiles that serve it take none` };
  }
  if (repositories !== undefined) {
    const list = listAgainst(repositories, origin?.repository, isSameRepository);
    const what = origin === undefined ? `its repository ${why}` : `its repository is ${origin.repository}`;
    if (list !== undefined) return { reason: 'repository', list: `repositories.${list}`, what: `${what}, which is not taken by` };
  }
  if (events === undefined) return undefined;
  const list = listAgainst(events, origin?.event, (pattern, event) => pattern === event);
  const what = origin?.event === undefined ? `the event that started it ${why}` : `it was started by ${origin.event}`;
  return list === undefined ? undefined : { reason: 'event', list: `events.${list}`, what: `${what}, which is not taken by` };
}

/** The list that refuses it, if one does. */
function listAgainst(
  { allow, deny }: Choice,
  word: string | undefined,
  isSame: (pattern: string, word: string) => boolean,
): keyof Choice | undefined {
  if (word === undefined) return allow === undefined ? 'deny' : 'allow';
  if (deny?.some((pattern) => isSame(pattern, word)) === true) return 'deny';
  return allow === undefined || allow.some((pattern) => isSame(pattern, word)) ? undefined : 'allow';
}

/** Forgejo takes a name in any case; `*` is any part of the owner's or of the repository's name, never both. */
function isSameRepository(pattern: string, name: string): boolean {
  const parts = pattern.toLowerCase().split('/');
  const words = name.toLowerCase().split('/');
  return parts.length === words.length && parts.every((part, index) => fits(part, words[index] ?? ''));
}

function fits(pattern: string, word: string): boolean {
  const [start = '', ...pieces] = pattern.split('*');
  const end = pieces.pop();
  if (end === undefined) return pattern === word;
  if (!word.startsWith(start)) return false;
  let from = start.length;
  for (const piece of pieces) {
    const at = word.indexOf(piece, from);
    if (at === -1) return false;
    from = at + piece.length;
  }
  return word.length - end.length >= from && word.endsWith(end);
}
