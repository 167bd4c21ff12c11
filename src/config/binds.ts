// Promises the paths of the host that machines of a profile are to see, as they may be written. What jobs must not see is the business of
// guarded.ts. Pure.

import type { Bind } from '../core/model.ts';
import { absolutePath, flag } from './kinds.ts';
import { describe, openSection, readScalar, type Findings } from './reader.ts';

/** `/source:/target:ro`, or a map of the three. */
export function readBind(value: unknown, path: string, findings: Findings): Bind | undefined {
  const place = absolutePath('what to bind');
  if (typeof value === 'string') {
    const [source, target = source, mode = 'ro', ...rest] = value.split(':');
    if (rest.length > 0 || (mode !== 'ro' && mode !== 'rw'))
      return findings.add(path, `is ${describe(value)}`, 'write /source:/target:ro or /source:/target:rw');
    return bindOf(readScalar(source, path, place, findings), readScalar(target, path, place, findings), mode === 'rw', path, findings);
  }
  const section = openSection(value, path, ['source', 'target', 'writable'], findings);
  if (section === undefined) return undefined;
  const source = section.need('source', place);
  const target = section.has('target') ? section.get('target', place) : source;
  return bindOf(source, target, section.get('writable', flag) ?? false, path, findings);
}

function bindOf(
  source: string | undefined,
  target: string | undefined,
  writable: boolean,
  path: string,
  findings: Findings,
): Bind | undefined {
  if (source === undefined || target === undefined) return undefined;
  if (/^\/(?:$|(?:proc|sys|dev)(?:\/|$))/.test(target))
    return findings.add(path, `has the target ${target}, which every machine has of its own`, 'choose another target');
  return { source, target, writable };
}
