// Parses `name[:schema[:arg]]` as forgejo-runner 12.8.2 does: a plain name means docker, host takes no argument, other schemas are refused.

import { RunnerFailure } from './failure.ts';

export type Label = { readonly name: string; readonly schema: 'host' | 'docker' | 'lxc' };

export function parseLabel(text: string): Label {
  const refuse = (why: string): never => {
    throw new RunnerFailure(`invalid configuration: malformed \`label\` ${JSON.stringify(text)}: ${why}`);
  };
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === '' || name.trim() !== name) return refuse('invalid label name');
  if (colon < 0) return { name, schema: 'docker' };
  const rest = text.slice(colon + 1);
  const second = rest.indexOf(':');
  const schema = second < 0 ? rest : rest.slice(0, second);
  if (schema !== 'host' && schema !== 'docker' && schema !== 'lxc') return refuse(`unsupported schema: ${schema}`);
  if (schema === 'host' && second >= 0) return refuse('schema: host does not have arguments');
  return { name, schema };
}
